-- SPDX-License-Identifier: MIT
-- What: the bookings that keep somebody busy from a time on, those that a conflict may be between.
-- Unit: seconds since the year 0.
-- needs appointments: id, service_id, staff_id, starts_at, ends_at
-- needs services: id, company_id

SELECT
    a.id,
    s.company_id,
    a.service_id,
    a.staff_id,
    TO_SECONDS(a.starts_at) AS starts,
    TO_SECONDS(a.ends_at) AS ends
FROM appointments AS a
LEFT JOIN services AS s ON a.service_id = s.id
WHERE
    a.starts_at >= %(from_start)s
    AND a.staff_id IS NOT NULL
    AND a.{{ not_deleted }}
    AND COALESCE(a.{{ not_cancelled }}, TRUE)
