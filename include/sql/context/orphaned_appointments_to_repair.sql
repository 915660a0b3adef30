-- SPDX-License-Identifier: MIT
-- The newest appointments behind include/sql/metrics/orphaned_appointments.sql, of all companies together.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: appointment_id

SELECT a.id
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id >= %(first_appointment)s
    AND a.created_at >= %(window_start)s
    AND a.created_at < %(grace_end)s
    AND a.service_id IN %(eligible_services)s
    AND NOT EXISTS (
        SELECT 1 FROM appointment_phases AS ph
        WHERE ph.appointment_id = a.id
    )
    AND a.{{ not_deleted }}
ORDER BY a.id DESC
LIMIT %(shown)s
