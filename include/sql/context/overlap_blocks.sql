-- SPDX-License-Identifier: MIT
-- How the bookings that start in a stretch of time are spread over the primary key, out of the index on starts_at.

SELECT
    a.id DIV %(block_size)s AS block,
    COUNT(*) AS bookings
FROM appointments AS a FORCE INDEX ({{ index }})
WHERE a.starts_at >= %(range_start)s AND a.starts_at < %(range_end)s
GROUP BY a.id DIV %(block_size)s
