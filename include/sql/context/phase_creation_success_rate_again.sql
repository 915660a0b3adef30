-- SPDX-License-Identifier: MIT
-- Of some appointments, how many still have no phases: those that are deleted, or whose service is or has no processing
-- time any more, do not miss them.
-- needs appointments: id, service_id
-- needs appointment_phases: appointment_id
-- needs services: id, has_processing_time

SELECT COUNT(*) AS still_failing
FROM appointments AS a FORCE INDEX (`PRIMARY`)
INNER JOIN services AS s ON a.service_id = s.id
WHERE
    a.id IN %(subjects)s
    AND s.has_processing_time = 1
    AND NOT EXISTS (
        SELECT 1 FROM appointment_phases AS ph
        WHERE ph.appointment_id = a.id
    )
    AND a.{{ not_deleted }}
    AND s.{{ service_not_deleted }}
