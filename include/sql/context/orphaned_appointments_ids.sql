-- SPDX-License-Identifier: MIT
-- The newest ids of those that include/sql/metrics/orphaned_appointments.sql counts and phase_creation_success_rate.sql
-- misses phases of, as many for each company as are shown.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: appointment_id

SELECT
    t.company_id,
    t.id
FROM (
    SELECT STRAIGHT_JOIN
        s.company_id,
        a.id,
        ROW_NUMBER() OVER (PARTITION BY s.company_id ORDER BY a.id DESC) AS place
    FROM appointments AS a FORCE INDEX (`PRIMARY`)
    INNER JOIN services AS s ON a.service_id = s.id
    LEFT JOIN appointment_phases AS ph ON a.id = ph.appointment_id
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(grace_end)s
        AND a.service_id IN %(eligible_services)s
        AND a.{{ not_deleted }}
        AND ph.appointment_id IS NULL
) AS t
WHERE t.place <= %(shown)s
ORDER BY t.id DESC
