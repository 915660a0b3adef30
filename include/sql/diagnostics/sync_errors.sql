-- SPDX-License-Identifier: MIT
-- The newest eligible appointments of the window that Cal.com did not take. Texts are read for the codes in them only.
-- needs appointments: id, service_id, created_at, {{ sync_status_column }}

SELECT
    a.id,
    a.created_at,
    {{ sync_error_code }} AS error_code,
    {{ sync_error_text }} AS error_text
FROM appointments AS a FORCE INDEX (`PRIMARY`)
WHERE
    a.id >= %(first_appointment)s
    AND a.created_at >= %(window_start)s
    AND a.created_at < %(window_end)s
    AND a.service_id IN %(eligible_services)s
    AND a.{{ sync_status_column }} IN %(error_values)s
    AND a.{{ not_deleted }}
ORDER BY a.id DESC
LIMIT 1000
