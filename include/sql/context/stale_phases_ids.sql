-- SPDX-License-Identifier: MIT
-- The newest ids behind include/sql/metrics/stale_phases.sql, as many for each company as are shown.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: id, appointment_id
-- needs services: has_processing_time

SELECT
    t.company_id,
    t.id
FROM (
    SELECT STRAIGHT_JOIN
        s.company_id,
        a.id,
        ROW_NUMBER() OVER (PARTITION BY s.company_id ORDER BY a.id DESC) AS place
    FROM (
        SELECT DISTINCT ph.appointment_id
        FROM appointment_phases AS ph FORCE INDEX (`PRIMARY`)
        WHERE ph.id >= %(first_phase)s AND ph.{{ not_composite }}
    ) AS p
    INNER JOIN appointments AS a ON p.appointment_id = a.id
    INNER JOIN services AS s ON a.service_id = s.id
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(window_end)s
        AND NOT COALESCE(s.has_processing_time, 0)
        AND a.{{ not_deleted }}
        AND s.{{ service_not_deleted }}
) AS t
WHERE t.place <= %(shown)s
ORDER BY t.id DESC
