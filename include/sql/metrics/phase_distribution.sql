-- SPDX-License-Identifier: MIT
-- What: the phases of the eligible appointments created in the window, by service and type. How many
-- appointments those are says include/sql/context/appointments_with_phases.sql; what the services are
-- configured to give is compared in sources/distribution.py.
-- Unit: phases. Window: created_at of the appointment, without the last application.grace before the check.
-- Owner: booking.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: appointment_id, phase_type
-- needs services: initial_duration, processing_duration, final_duration

SELECT STRAIGHT_JOIN
    a.service_id,
    ph.phase_type,
    COUNT(*) AS phases
FROM appointments AS a FORCE INDEX (`PRIMARY`)
INNER JOIN appointment_phases AS ph ON a.id = ph.appointment_id
WHERE
    a.id >= %(first_appointment)s
    AND a.created_at >= %(window_start)s
    AND a.created_at < %(grace_end)s
    AND a.service_id IN %(eligible_services)s
    AND a.{{ not_deleted }}
GROUP BY a.service_id, ph.phase_type
