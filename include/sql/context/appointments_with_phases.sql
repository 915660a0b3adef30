-- SPDX-License-Identifier: MIT
-- By service, the eligible appointments created in the window, and those of them that have phases by now.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: appointment_id

SELECT
    a.service_id,
    COUNT(*) AS appointments,
    SUM(
        EXISTS (
            SELECT 1 FROM appointment_phases AS ph
            WHERE ph.appointment_id = a.id
        )
    ) AS with_phases
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id >= %(first_appointment)s
    AND a.created_at >= %(window_start)s
    AND a.created_at < %(grace_end)s
    AND a.service_id IN %(eligible_services)s
    AND a.{{ not_deleted }}
GROUP BY a.service_id
