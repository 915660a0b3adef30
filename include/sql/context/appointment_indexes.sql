-- SPDX-License-Identifier: MIT
-- The columns of the indexes on appointments, in their order; an empty name for one that holds a prefix only.

SELECT
    i.index_name,
    CASE WHEN i.sub_part IS NULL THEN i.column_name ELSE '' END AS column_name
FROM information_schema.statistics AS i
WHERE
    i.table_schema = DATABASE()
    AND i.table_name = 'appointments'
    AND i.index_type = 'BTREE'
ORDER BY i.index_name, i.seq_in_index
