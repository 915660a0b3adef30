-- SPDX-License-Identifier: MIT
-- The guide's text.
SELECT
    COUNT(*) as total_processing_time_appointments,
    SUM(CASE WHEN has_phases THEN 1 ELSE 0 END) as with_phases,
    ROUND(SUM(CASE WHEN has_phases THEN 1 ELSE 0 END) * 100.0 / COUNT(*), 2) as success_rate_percent
FROM (
    SELECT
        a.id,
        EXISTS(SELECT 1 FROM appointment_phases WHERE appointment_id = a.id) as has_phases
    FROM appointments a
    INNER JOIN services s ON a.service_id = s.id
    WHERE s.has_processing_time = 1
        AND DATE(a.created_at) = CURDATE()
) subquery;
