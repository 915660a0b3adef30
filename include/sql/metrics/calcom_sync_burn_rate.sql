-- SPDX-License-Identifier: MIT
-- What: eligible appointments whose sync to Cal.com is decided, and those of them that count as failed, by how
-- many of the windows of the metric's error budget hold them. Errors have failed, and so has everything that is not
-- synced after application.pending_limit. What is younger and still under way is left out: it is neither good nor bad.
-- Unit: appointments. Window: created_at.
-- Owner: booking.
-- needs appointments: id, service_id, created_at, {{ sync_status_column }}

SELECT
    s.company_id,
    t.windows_holding AS held,
    SUM(CASE WHEN t.decided_as = 'failed' THEN t.appointments ELSE 0 END) AS numerator,
    SUM(t.appointments) AS denominator
FROM (
    SELECT
        a.service_id,
        {{ windows_held }} AS windows_holding,
        CASE
            WHEN a.{{ sync_status_column }} IN %(synced_values)s THEN 'synced'
            WHEN a.{{ sync_status_column }} IN %(error_values)s THEN 'failed'
            WHEN a.created_at < %(pending_end)s THEN 'failed'
            ELSE 'under way'
        END AS decided_as,
        COUNT(*) AS appointments
    FROM appointments AS a FORCE INDEX (`PRIMARY`)
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(window_end)s
        AND a.service_id IN %(eligible_services)s
        AND a.{{ not_deleted }}
    GROUP BY a.service_id, windows_holding, decided_as
) AS t
INNER JOIN services AS s ON t.service_id = s.id
WHERE t.decided_as <> 'under way'
GROUP BY s.company_id, t.windows_holding
