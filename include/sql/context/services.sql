-- SPDX-License-Identifier: MIT
-- The services, whether they are deleted, and the minutes that their phases are to last.
-- needs services: id, company_id, has_processing_time

SELECT
    s.id,
    s.company_id,
    s.has_processing_time,
    s.{{ service_not_deleted }} AS kept,
    {{ initial_duration }},
    {{ processing_duration }},
    {{ final_duration }}
FROM services AS s
