-- SPDX-License-Identifier: MIT
-- What Eloquent makes of the guide's text (whereHas twice, count), for models without soft deletes. It has no window.
SELECT COUNT(*) AS aggregate
FROM appointments
WHERE EXISTS (SELECT * FROM appointment_phases WHERE appointments.id = appointment_phases.appointment_id)
    AND EXISTS (SELECT * FROM services WHERE appointments.service_id = services.id AND has_processing_time = 0);
