-- SPDX-License-Identifier: MIT
-- The bookings of some members of staff that start in a stretch of time, out of an index on (staff_id, starts_at).

SELECT
    a.id,
    a.staff_id,
    TO_SECONDS(a.starts_at) AS starts
FROM appointments AS a FORCE INDEX ({{ index }})
WHERE
    a.staff_id IN %(staff)s
    AND a.starts_at >= %(range_start)s
    AND a.starts_at < %(range_end)s
    AND a.created_at < %(window_end)s
    AND a.{{ not_deleted }}
    AND COALESCE(a.service_id NOT IN %(deleted_services)s, TRUE)
