-- SPDX-License-Identifier: MIT
-- Takes phases out, by primary key. Nothing else of the application's is ever deleted.

DELETE FROM appointment_phases
WHERE id IN %(phases)s
