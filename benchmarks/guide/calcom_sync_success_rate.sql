-- SPDX-License-Identifier: MIT
-- The guide's text. In the deployed application sync_status is a column of services.
SELECT
    COUNT(*) as total,
    SUM(CASE WHEN sync_status = 'synced' THEN 1 ELSE 0 END) as synced,
    SUM(CASE WHEN sync_status = 'error' THEN 1 ELSE 0 END) as errors,
    ROUND(SUM(CASE WHEN sync_status = 'synced' THEN 1 ELSE 0 END) * 100.0 / COUNT(*), 2) as success_rate
FROM appointments a
INNER JOIN services s ON a.service_id = s.id
WHERE s.has_processing_time = 1
    AND DATE(a.created_at) >= DATE_SUB(CURDATE(), INTERVAL 7 DAY);
