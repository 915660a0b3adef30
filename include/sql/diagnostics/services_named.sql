-- SPDX-License-Identifier: MIT
-- The services of a company, or one service, deleted ones too: whether what somebody named exists.
-- needs services: id, company_id

SELECT
    s.id,
    s.company_id
FROM services AS s
WHERE
    s.company_id = COALESCE(%(company_id)s, s.company_id)
    AND s.id = COALESCE(%(service_id)s, s.id)
ORDER BY s.id
