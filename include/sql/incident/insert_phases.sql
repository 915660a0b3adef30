-- SPDX-License-Identifier: MIT
-- Puts phases back with all their columns, their ids too.

INSERT INTO appointment_phases ({{ columns }})
VALUES ({{ marks }})
