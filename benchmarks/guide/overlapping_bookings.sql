-- SPDX-License-Identifier: MIT
-- The guide's text.
-- Find appointments booked during processing phases
SELECT
    DATE(a2.starts_at) as booking_date,
    COUNT(*) as overlapping_appointments,
    GROUP_CONCAT(DISTINCT s.name) as services_used
FROM appointments a1
INNER JOIN appointment_phases ph ON a1.id = ph.appointment_id
INNER JOIN appointments a2 ON a1.staff_id = a2.staff_id
    AND a2.starts_at >= ph.start_time
    AND a2.starts_at < ph.end_time
    AND a2.id != a1.id
INNER JOIN services s ON a2.service_id = s.id
WHERE ph.staff_required = 0  -- Processing phase (staff available)
    AND DATE(a1.created_at) >= DATE_SUB(CURDATE(), INTERVAL 7 DAY)
GROUP BY DATE(a2.starts_at)
ORDER BY booking_date DESC;
