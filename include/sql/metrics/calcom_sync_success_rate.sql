-- SPDX-License-Identifier: MIT
-- What: of the eligible appointments created in the window, those that Cal.com has. Pending ones and those
-- without any state stay in the denominator. The column is one of appointments; services has one called
-- sync_status, too. Codes of errors are told apart where appointments has a column sync_error_code.
-- Unit: appointments. Window: created_at.
-- Owner: booking.
-- needs appointments: id, service_id, created_at, {{ sync_status_column }}

SELECT
    s.company_id,
    t.sync_status AS by_status,
    t.by_error_code,
    SUM(CASE WHEN t.sync_status IN %(synced_values)s THEN t.appointments ELSE 0 END) AS numerator,
    SUM(t.appointments) AS denominator,
    SUM(CASE WHEN t.sync_status IN %(error_values)s THEN t.appointments ELSE 0 END) AS errors,
    SUM(
        CASE
            WHEN t.sync_status IN %(synced_values)s OR t.sync_status IN %(error_values)s THEN 0
            ELSE t.appointments
        END
    ) AS pending
FROM (
    SELECT
        a.service_id,
        a.{{ sync_status_column }} AS sync_status,
        {{ sync_error_code }} AS by_error_code,
        COUNT(*) AS appointments
    FROM appointments AS a FORCE INDEX (`PRIMARY`)
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(window_end)s
        AND a.service_id IN %(eligible_services)s
        AND a.{{ not_deleted }}
    GROUP BY a.service_id, a.{{ sync_status_column }}, by_error_code
) AS t
INNER JOIN services AS s ON t.service_id = s.id
GROUP BY s.company_id, t.sync_status, t.by_error_code
