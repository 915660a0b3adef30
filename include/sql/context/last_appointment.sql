-- SPDX-License-Identifier: MIT
-- The highest id of an appointment.

SELECT MAX(a.id) AS last_id
FROM appointments AS a
