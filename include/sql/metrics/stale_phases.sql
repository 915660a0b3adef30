-- SPDX-License-Identifier: MIT
-- What: appointments created in the window that have phases although their service has no processing time
-- (any more). Phases of composite services belong there by design: they do not count, in the denominator
-- neither. The newest ids come from include/sql/context/stale_phases_ids.sql.
-- Unit: appointments. Window: created_at.
-- Owner: booking.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: id, appointment_id
-- needs services: has_processing_time

SELECT
    s.company_id,
    SUM(CASE WHEN s.has_processing_time THEN 0 ELSE t.appointments END) AS numerator,
    SUM(t.appointments) AS denominator
FROM (
    SELECT STRAIGHT_JOIN
        a.service_id,
        COUNT(*) AS appointments
    FROM (
        SELECT DISTINCT ph.appointment_id
        FROM appointment_phases AS ph FORCE INDEX (`PRIMARY`)
        WHERE ph.id >= %(first_phase)s AND ph.{{ not_composite }}
    ) AS p
    INNER JOIN appointments AS a ON p.appointment_id = a.id
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(window_end)s
        AND a.{{ not_deleted }}
    GROUP BY a.service_id
) AS t
INNER JOIN services AS s ON t.service_id = s.id
WHERE s.{{ service_not_deleted }}
GROUP BY s.company_id
