-- SPDX-License-Identifier: MIT
-- Puts a phase back with all its columns, its id too.

INSERT INTO appointment_phases ({{ columns }})
VALUES ({{ marks }})
