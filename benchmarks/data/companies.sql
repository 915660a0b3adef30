-- SPDX-License-Identifier: MIT
-- Twice as many companies: the upper half of the services with processing time, and of the others, moves to new ones.

INSERT INTO companies (id, name)
SELECT
    seq,
    CONCAT('Company ', seq)
FROM seq_51_to_100;

UPDATE services SET company_id = 1 + (id - 1) MOD 100;

UPDATE appointments SET company_id = 1 + (service_id - 1) MOD 100;
