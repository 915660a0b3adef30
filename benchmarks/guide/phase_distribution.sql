-- SPDX-License-Identifier: MIT
-- What Eloquent makes of the guide's text; whereDate('created_at', today()) has the date bound in CURDATE()'s place.
SELECT
    phase_type,
    COUNT(*) as count,
    ROUND(COUNT(*) * 100.0 / (SELECT COUNT(*) FROM appointment_phases), 2) as percentage
FROM appointment_phases
WHERE DATE(created_at) = CURDATE()
GROUP BY phase_type;
