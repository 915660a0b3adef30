-- SPDX-License-Identifier: MIT
-- The bookings that start in a stretch of time, where they lie so close in the primary key that walking along it is
-- cheaper than looking each up.

SELECT
    a.id,
    a.staff_id,
    TO_SECONDS(a.starts_at) AS starts
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id >= %(first)s
    AND a.id < %(until)s
    AND a.starts_at >= %(range_start)s
    AND a.starts_at < %(range_end)s
    AND a.staff_id IS NOT NULL
    AND a.created_at < %(window_end)s
    AND a.{{ not_deleted }}
    AND COALESCE(a.service_id NOT IN %(deleted_services)s, TRUE)
