-- SPDX-License-Identifier: MIT
-- Of some bookings, those that count: made before the check, and not deleted.

SELECT
    a.id,
    a.service_id
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id IN %(ids)s
    AND a.created_at < %(window_end)s
    AND a.{{ not_deleted }}
