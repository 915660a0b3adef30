-- SPDX-License-Identifier: MIT
-- When the appointment at a watermark, or the next one below it, was created.

SELECT a.created_at
FROM appointments AS a
WHERE a.id <= %(highest)s
ORDER BY a.id DESC
LIMIT 1
