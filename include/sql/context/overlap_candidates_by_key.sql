-- SPDX-License-Identifier: MIT
-- The bookings that start in a stretch of time, where they lie so close in the primary key that walking along it is
-- cheaper than looking each up.

SELECT
    a.id,
    a.staff_id,
    TIMESTAMPDIFF(SECOND, %(window_start)s, a.starts_at) AS starts
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id >= %(first)s
    AND a.id < %(until)s
    AND a.starts_at >= %(range_start)s
    AND a.starts_at < %(range_end)s
