-- SPDX-License-Identifier: MIT
-- What: the appointments that lie ahead and have phases of processing time: those with a segment_key belong to
-- composite services, unless their service has processing time as well. Soft-deleted appointments are left out.
-- needs appointments: id, service_id, starts_at
-- needs appointment_phases: appointment_id
-- needs services: id, has_processing_time

SELECT STRAIGHT_JOIN a.id
FROM appointments AS a
INNER JOIN appointment_phases AS ph ON a.id = ph.appointment_id
LEFT JOIN services AS s ON a.service_id = s.id
WHERE
    a.starts_at >= %(from_start)s
    AND a.{{ not_deleted }}
    AND (ph.{{ not_composite }} OR s.has_processing_time = 1)
    AND (%(any_appointment)s OR a.id IN %(appointments)s)
    -- As text: a number would be compared with the first digits of a UUID.
    AND (%(any_service)s OR LOWER(CAST(a.service_id AS CHAR)) IN %(services)s)
GROUP BY a.id
ORDER BY a.id
