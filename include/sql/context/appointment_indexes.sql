-- SPDX-License-Identifier: MIT
-- The columns of the indexes on appointments, in their order, whole columns only.

SELECT
    i.index_name,
    i.column_name
FROM information_schema.statistics AS i
WHERE
    i.table_schema = DATABASE()
    AND i.table_name = 'appointments'
    AND i.index_type = 'BTREE'
    AND i.sub_part IS NULL
ORDER BY i.index_name, i.seq_in_index
