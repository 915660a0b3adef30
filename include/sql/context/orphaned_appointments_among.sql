-- SPDX-License-Identifier: MIT
-- Which of some appointments are eligible and have no phases, whenever they were created.
-- needs appointments: id, service_id
-- needs appointment_phases: appointment_id

SELECT a.id
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id IN %(appointments)s
    AND a.service_id IN %(eligible_services)s
    AND NOT EXISTS (
        SELECT 1 FROM appointment_phases AS ph
        WHERE ph.appointment_id = a.id
    )
    AND a.{{ not_deleted }}
ORDER BY a.id DESC
