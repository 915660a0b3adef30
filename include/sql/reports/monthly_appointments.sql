-- SPDX-License-Identifier: MIT
-- What: the appointments created in a month by service, and by the day on which the first of their phases lies that
-- leave the staff free: how many are synced, have phases, which phases those are, and when such phases last.
-- One pass over appointments and their phases; everything that a month's rollup counts of them comes from here.
-- Unit: appointments; phases in the columns that say so. Window: created_at.
-- Owner: booking.
-- needs appointments: id, service_id, created_at
-- needs appointment_phases: id, appointment_id, phase_type, staff_required, start_time, end_time

SELECT
    t.service_id,
    TO_DAYS(t.free_from) AS day_from,
    MIN(t.id) AS first_id,
    COUNT(*) AS appointments,
    SUM(t.synced) AS synced,
    SUM(t.phases > 0) AS with_phases,
    SUM(t.own_phases > 0) AS with_own_phases,
    SUM(t.free_phases > 0) AS with_free_phases,
    SUM(t.phases) AS phases,
    SUM(t.initial_phases) AS initial_phases,
    SUM(t.processing_phases) AS processing_phases,
    SUM(t.final_phases) AS final_phases,
    MIN(t.free_from) AS free_from,
    MAX(t.free_until) AS free_until
FROM (
    SELECT
        a.id,
        a.service_id,
        MAX(CASE WHEN a.{{ sync_status_column }} IN %(synced_values)s THEN 1 ELSE 0 END) AS synced,
        COUNT(ph.id) AS phases,
        COUNT(CASE WHEN ph.{{ not_composite }} THEN ph.id END) AS own_phases,
        COUNT(CASE WHEN ph.staff_required = 0 THEN 1 END) AS free_phases,
        COUNT(CASE WHEN ph.phase_type = 'initial' THEN 1 END) AS initial_phases,
        COUNT(CASE WHEN ph.phase_type = 'processing' THEN 1 END) AS processing_phases,
        COUNT(CASE WHEN ph.phase_type = 'final' THEN 1 END) AS final_phases,
        MIN(CASE WHEN ph.staff_required = 0 THEN ph.start_time END) AS free_from,
        MAX(CASE WHEN ph.staff_required = 0 THEN ph.end_time END) AS free_until
    FROM appointments AS a
    LEFT JOIN appointment_phases AS ph ON a.id = ph.appointment_id
    WHERE
        a.created_at >= %(window_start)s
        AND a.created_at < %(window_end)s
        AND a.{{ not_deleted }}
    GROUP BY a.id, a.service_id
) AS t
GROUP BY t.service_id, TO_DAYS(t.free_from)
