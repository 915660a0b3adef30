-- SPDX-License-Identifier: MIT
-- The columns that a copy of a phase and of its appointment is made of, but for those that the server computes.

SELECT
    c.table_name,
    c.column_name,
    c.data_type
FROM information_schema.columns AS c
WHERE
    c.table_schema = DATABASE()
    AND c.table_name IN ('appointments', 'appointment_phases', 'services')
    AND COALESCE(c.generation_expression, '') = ''
ORDER BY c.table_name, c.ordinal_position
