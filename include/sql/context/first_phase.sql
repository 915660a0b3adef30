-- SPDX-License-Identifier: MIT
-- The lowest id of a phase that belongs to an appointment from an id on, out of the index on appointment_id.

SELECT MIN(ph.id) AS first_id
FROM appointment_phases AS ph
WHERE ph.appointment_id >= %(first_appointment)s
