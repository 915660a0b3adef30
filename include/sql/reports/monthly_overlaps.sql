-- SPDX-License-Identifier: MIT
-- What: the phases that leave the staff free, of the appointments created in a month, and all bookings that start while
-- any of them may last; in the order of their start, phases first, so that reports/monthly_rows.py matches them in one
-- go and keeps only those phases that still last. A booking has no end and no service.
-- Unit: seconds since the year 0. Window: created_at of the outer appointment.
-- Owner: booking.
-- needs appointments: id, service_id, staff_id, starts_at, created_at
-- needs appointment_phases: appointment_id, staff_required, start_time, end_time

SELECT
    u.id,
    u.service_id,
    u.staff_id,
    u.starts,
    u.ends
FROM (
    SELECT
        a.id,
        a.service_id,
        a.staff_id,
        TO_SECONDS(ph.start_time) AS starts,
        TO_SECONDS(ph.end_time) AS ends
    FROM appointments AS a
    INNER JOIN appointment_phases AS ph ON a.id = ph.appointment_id
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(window_end)s
        AND a.staff_id IS NOT NULL
        AND a.{{ not_deleted }}
        AND COALESCE(a.service_id NOT IN %(deleted_services)s, TRUE)
        AND ph.staff_required = 0
        AND ph.start_time >= %(range_start)s
        AND ph.start_time < %(range_end)s
        AND ph.end_time > ph.start_time
    UNION ALL
    SELECT
        a.id,
        NULL AS service_id,
        a.staff_id,
        TO_SECONDS(a.starts_at) AS starts,
        NULL AS ends
    FROM appointments AS a
    WHERE
        a.starts_at >= %(range_start)s
        AND a.starts_at < %(range_end)s
        AND a.created_at < %(window_end)s
        AND a.staff_id IS NOT NULL
        AND a.{{ not_deleted }}
        AND COALESCE(a.service_id NOT IN %(deleted_services)s, TRUE)
) AS u
ORDER BY u.starts, u.ends IS NULL
