-- SPDX-License-Identifier: MIT
-- What: of the eligible appointments created in the window, those that have phases by now. The newest ids of the others
-- come from include/sql/context/orphaned_appointments_ids.sql.
-- Unit: appointments. Window: created_at, without the last application.grace before the check.
-- Owner: booking.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: appointment_id

SELECT
    s.company_id,
    SUM(t.with_phases) AS numerator,
    SUM(t.appointments) AS denominator,
    SUM(t.appointments - t.with_phases) AS without_phases
FROM (
    SELECT
        a.service_id,
        COUNT(*) AS appointments,
        SUM(
            EXISTS (
                SELECT 1 FROM appointment_phases AS ph
                WHERE ph.appointment_id = a.id
            )
        ) AS with_phases
    FROM appointments AS a FORCE INDEX (`PRIMARY`)
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(grace_end)s
        AND a.service_id IN %(eligible_services)s
        AND a.{{ not_deleted }}
    GROUP BY a.service_id
) AS t
INNER JOIN services AS s ON t.service_id = s.id
GROUP BY s.company_id
