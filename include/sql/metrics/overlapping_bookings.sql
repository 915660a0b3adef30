-- SPDX-License-Identifier: MIT
-- What: the processing phases (the member of staff is free) of the appointments created in the window, as
-- stretches of time. The bookings that start inside them are looked for in sources/overlaps.py: a server
-- without temporary tables and without an index on (staff_id, starts_at) would compare each with each.
-- Unit: seconds since the year 0. Window: created_at of the outer appointment.
-- Owner: booking.
-- needs appointments: id, service_id, staff_id, starts_at, created_at
-- needs appointment_phases: id, appointment_id, staff_required, start_time, end_time

SELECT STRAIGHT_JOIN
    a.id,
    a.service_id,
    a.staff_id,
    TO_SECONDS(ph.start_time) AS starts,
    TO_SECONDS(ph.end_time) AS ends
FROM appointment_phases AS ph FORCE INDEX (`PRIMARY`)
INNER JOIN appointments AS a ON ph.appointment_id = a.id
WHERE
    ph.id >= %(first_phase)s
    AND ph.staff_required = 0
    AND a.id >= %(first_appointment)s
    AND a.created_at >= %(window_start)s
    AND a.created_at < %(window_end)s
    AND a.{{ not_deleted }}
    AND COALESCE(a.service_id NOT IN %(deleted_services)s, TRUE)
