-- SPDX-License-Identifier: MIT
-- What: eligible appointments, and those of them that have no phases by now, by how many of the windows of
-- the metric's error budget hold them.
-- Unit: appointments. Window: created_at, without the last application.grace before the check.
-- Owner: booking.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: appointment_id

SELECT
    s.company_id,
    t.windows_holding AS held,
    SUM(t.without_phases) AS numerator,
    SUM(t.appointments) AS denominator
FROM (
    SELECT
        a.service_id,
        {{ windows_held }} AS windows_holding,
        COUNT(*) AS appointments,
        SUM(
            NOT EXISTS (
                SELECT 1 FROM appointment_phases AS ph
                WHERE ph.appointment_id = a.id
            )
        ) AS without_phases
    FROM appointments AS a FORCE INDEX (`PRIMARY`)
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(grace_end)s
        AND a.service_id IN %(eligible_services)s
        AND a.{{ not_deleted }}
    GROUP BY a.service_id, windows_holding
) AS t
INNER JOIN services AS s ON t.service_id = s.id
GROUP BY s.company_id, t.windows_holding
