-- SPDX-License-Identifier: MIT
-- All phases of some appointments, every column as text.
-- needs appointment_phases: id, appointment_id

SELECT
    ph.appointment_id,
    {{ columns }}
FROM appointment_phases AS ph
WHERE ph.appointment_id IN %(appointments)s
ORDER BY ph.id
