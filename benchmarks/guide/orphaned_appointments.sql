-- SPDX-License-Identifier: MIT
-- What Eloquent makes of the guide's text (whereHas, whereDoesntHave, whereDate, get), for models without soft deletes.
SELECT *
FROM appointments
WHERE EXISTS (SELECT * FROM services WHERE appointments.service_id = services.id AND has_processing_time = 1)
    AND NOT EXISTS (SELECT * FROM appointment_phases WHERE appointments.id = appointment_phases.appointment_id)
    AND DATE(created_at) = CURDATE();
