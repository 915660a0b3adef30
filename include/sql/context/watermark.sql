-- SPDX-License-Identifier: MIT
-- The highest ids at this moment, and which moment that is: a check that looks long after its as_of must not
-- keep them.

SELECT
    (SELECT MAX(a.id) FROM appointments AS a) AS appointments,
    (SELECT MAX(ph.id) FROM appointment_phases AS ph) AS phases,
    UTC_TIMESTAMP() AS looked_at
