-- SPDX-License-Identifier: MIT
-- Of some ids of phases, those that are in use.

SELECT ph.id
FROM appointment_phases AS ph
WHERE ph.id IN %(phases)s
