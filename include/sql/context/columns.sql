-- SPDX-License-Identifier: MIT
-- The columns that the login may read, of the tables that some query needs.

SELECT
    c.table_name,
    c.column_name
FROM information_schema.columns AS c
WHERE c.table_schema = DATABASE() AND c.table_name IN %(tables)s
