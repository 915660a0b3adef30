-- SPDX-License-Identifier: MIT
-- The bookings that start in a stretch of time, below an id from which on they lie closely: each is looked up.

SELECT
    a.id,
    a.staff_id,
    TIMESTAMPDIFF(SECOND, %(window_start)s, a.starts_at) AS starts
FROM appointments AS a FORCE INDEX ({{ index }})
WHERE
    a.starts_at >= %(range_start)s
    AND a.starts_at < %(range_end)s
    AND a.id < %(first)s
