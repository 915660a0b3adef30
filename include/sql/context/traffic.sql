-- SPDX-License-Identifier: MIT
-- How many eligible appointments were created in a window: whether the log should have spoken.
-- needs appointments: id, service_id, created_at

SELECT COUNT(*) AS appointments
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id >= %(first_appointment)s
    AND a.created_at >= %(window_start)s
    AND a.created_at < %(window_end)s
    AND a.service_id IN %(eligible_services)s
    AND a.{{ not_deleted }}
