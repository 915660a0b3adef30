-- SPDX-License-Identifier: MIT
-- What: the phases of those bookings, and whether they need their member of staff. Unit: seconds since the year 0.
-- needs appointments: id, starts_at
-- needs appointment_phases: appointment_id, staff_required, start_time, end_time

SELECT STRAIGHT_JOIN
    ph.appointment_id,
    ph.staff_required,
    TO_SECONDS(ph.start_time) AS starts,
    TO_SECONDS(ph.end_time) AS ends
FROM appointments AS a
INNER JOIN appointment_phases AS ph ON a.id = ph.appointment_id
WHERE
    a.starts_at >= %(from_start)s
    AND a.staff_id IS NOT NULL
    AND a.{{ not_deleted }}
    AND COALESCE(a.{{ not_cancelled }}, TRUE)
