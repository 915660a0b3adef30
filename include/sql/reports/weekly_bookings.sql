-- SPDX-License-Identifier: MIT
-- What: some bookings, with what a report says of them: when they start and of which service they are.
-- Owner: booking.
-- needs appointments: id, service_id, starts_at

SELECT
    a.id,
    a.service_id,
    a.starts_at
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE a.id IN %(bookings)s
