-- SPDX-License-Identifier: MIT
-- What: what the services are called.
-- Owner: booking.
-- needs services: id, name

SELECT
    s.id,
    s.name
FROM services AS s
WHERE s.{{ service_not_deleted }}
