-- SPDX-License-Identifier: MIT
-- The newest appointments that have phases: when it worked last.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: appointment_id

SELECT
    a.id,
    a.service_id,
    a.created_at,
    t.phases
FROM (
    SELECT
        ph.appointment_id,
        COUNT(*) AS phases
    FROM appointment_phases AS ph
    GROUP BY ph.appointment_id
    ORDER BY ph.appointment_id DESC
    LIMIT 10
) AS t
INNER JOIN appointments AS a ON t.appointment_id = a.id
ORDER BY a.id DESC
