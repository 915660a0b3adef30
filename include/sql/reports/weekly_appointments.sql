-- SPDX-License-Identifier: MIT
-- What: the appointments created in two weeks by service and day: how many are synced, have phases, and which phases
-- those are. One pass over appointments and their phases; the days are numbered from 0, and begin at the
-- parameters, because a local midnight is not a fixed hour of the application's time.
-- Unit: appointments; phases in the columns that say so. Window: created_at.
-- Owner: booking.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: id, appointment_id, phase_type, staff_required

SELECT
    t.service_id,
    t.day_number,
    COUNT(*) AS appointments,
    SUM(t.synced) AS synced,
    SUM(t.phases > 0) AS with_phases,
    SUM(t.own_phases > 0) AS with_own_phases,
    SUM(t.free_phases > 0) AS with_free_phases,
    SUM(t.phases) AS phases,
    SUM(t.initial_phases) AS initial_phases,
    SUM(t.processing_phases) AS processing_phases,
    SUM(t.final_phases) AS final_phases
FROM (
    SELECT STRAIGHT_JOIN
        a.id,
        a.service_id,
        (a.created_at >= %(day_1)s)
        + (a.created_at >= %(day_2)s)
        + (a.created_at >= %(day_3)s)
        + (a.created_at >= %(day_4)s)
        + (a.created_at >= %(day_5)s)
        + (a.created_at >= %(day_6)s)
        + (a.created_at >= %(day_7)s)
        + (a.created_at >= %(day_8)s)
        + (a.created_at >= %(day_9)s)
        + (a.created_at >= %(day_10)s)
        + (a.created_at >= %(day_11)s)
        + (a.created_at >= %(day_12)s)
        + (a.created_at >= %(day_13)s) AS day_number,
        MAX(CASE WHEN a.{{ sync_status_column }} IN %(synced_values)s THEN 1 ELSE 0 END) AS synced,
        COUNT(ph.id) AS phases,
        SUM(ph.id IS NOT NULL AND ph.{{ not_composite }}) AS own_phases,
        SUM(CASE WHEN ph.staff_required = 0 THEN 1 ELSE 0 END) AS free_phases,
        SUM(CASE WHEN ph.phase_type = 'initial' THEN 1 ELSE 0 END) AS initial_phases,
        SUM(CASE WHEN ph.phase_type = 'processing' THEN 1 ELSE 0 END) AS processing_phases,
        SUM(CASE WHEN ph.phase_type = 'final' THEN 1 ELSE 0 END) AS final_phases
    FROM appointments AS a FORCE INDEX (`PRIMARY`)
    LEFT JOIN appointment_phases AS ph ON a.id = ph.appointment_id
    WHERE
        a.id >= %(first_appointment)s
        AND a.created_at >= %(window_start)s
        AND a.created_at < %(window_end)s
        AND a.{{ not_deleted }}
        AND COALESCE(a.service_id NOT IN %(deleted_services)s, TRUE)
    GROUP BY a.id, a.service_id, day_number
) AS t
GROUP BY t.service_id, t.day_number
