-- SPDX-License-Identifier: MIT
-- The lowest id of the appointments created in a window, among those from an id on: all of them are looked
-- at, unless there is an index on created_at.

SELECT MIN(a.id) AS first_id
FROM appointments AS a
WHERE
    a.id >= %(first_appointment)s
    AND a.created_at >= %(window_start)s
    AND a.created_at < %(window_end)s
