-- SPDX-License-Identifier: MIT
-- The bookings of some members of staff that start in a stretch of time, out of an index on (staff_id, starts_at).

SELECT
    a.id,
    a.staff_id,
    TIMESTAMPDIFF(SECOND, %(window_start)s, a.starts_at) AS starts
FROM appointments AS a FORCE INDEX ({{ index }})
WHERE
    a.staff_id IN %(staff)s
    AND a.starts_at >= %(range_start)s
    AND a.starts_at < %(range_end)s
