-- SPDX-License-Identifier: MIT
-- The bookings that start in a stretch of time, below an id from which on they lie closely: each is looked up.

SELECT
    a.id,
    a.staff_id,
    TO_SECONDS(a.starts_at) AS starts
FROM appointments AS a FORCE INDEX ({{ index }})
WHERE
    a.starts_at >= %(range_start)s
    AND a.starts_at < %(range_end)s
    AND a.id < %(first)s
    AND a.staff_id IS NOT NULL
    AND a.created_at < %(window_end)s
    AND a.{{ not_deleted }}
    AND COALESCE(a.service_id NOT IN %(deleted_services)s, TRUE)
