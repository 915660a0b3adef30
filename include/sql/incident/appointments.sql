-- SPDX-License-Identifier: MIT
-- Appointments, the columns that decide whether phases fit them, and whether their service has processing time.
-- needs appointments: id, service_id
-- needs services: id, has_processing_time

SELECT
    a.id,
    {{ columns }},
    (
        SELECT s.has_processing_time FROM services AS s
        WHERE s.id = a.service_id
    ) AS has_processing_time
FROM appointments AS a
WHERE a.id IN %(appointments)s
ORDER BY a.id
