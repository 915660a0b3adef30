-- SPDX-License-Identifier: MIT
-- Rows for the schema of the deployed application: @appointments of them at @a_day a day, the youngest one second before
-- @as_of (UTC). What a row holds is drawn by the digest of how many are younger (`k`), so tables of any length end in the
-- same rows. A quarter is booked with processing time; of those one in a hundred has no phases.

INSERT INTO companies (id, name)
SELECT
    seq,
    CONCAT('Company ', seq)
FROM seq_1_to_50;

INSERT INTO staff (id, company_id, name)
SELECT
    CONCAT(LPAD(HEX(65537 * seq), 8, '0'), '-5f1c-4e07-9d3a-6b2f8c01a4e9'),
    1 + (seq - 1) MOD 50,
    CONCAT('Member ', seq)
FROM seq_1_to_2000;

INSERT INTO customers (id, company_id, name)
SELECT
    seq,
    1 + (seq - 1) MOD 50,
    CONCAT('Customer ', seq)
FROM seq_1_to_100000;

INSERT INTO services (
    id, company_id, name, duration_minutes, has_processing_time, initial_duration, processing_duration, final_duration,
    sync_status, deleted_at
)
SELECT
    seq,
    1 + (seq - 1) MOD 50,
    CONCAT('Service ', seq),
    60,
    seq <= 100,
    IF(seq <= 100, 15, NULL),
    IF(seq <= 100, 30, NULL),
    IF(seq <= 100, 15, NULL),
    'synced',
    IF(seq IN (100, 400), @as_of - INTERVAL 1 DAY, NULL)
FROM seq_1_to_400;

INSERT INTO appointments (
    id, company_id, service_id, staff_id, customer_id, starts_at, ends_at, status, price, calcom_sync_status,
    created_at, updated_at, deleted_at
)
SELECT
    id,
    company_id,
    company_id + 50 * (drawn DIV 50 MOD 8),
    CONCAT(LPAD(HEX(65537 * (company_id + 50 * (drawn DIV 400 MOD 40))), 8, '0'), '-5f1c-4e07-9d3a-6b2f8c01a4e9'),
    1 + drawn DIV 16000 MOD 100000,
    starts_at,
    starts_at + INTERVAL 1 HOUR,
    ELT(1 + drawn MOD 4, 'scheduled', 'confirmed', 'completed', 'cancelled'),
    20 + drawn MOD 80,
    ELT(1 + GREATEST(0, drawn DIV 1000000000000 MOD 200 - 196), 'synced', 'pending', 'failed', NULL),
    created_at,
    created_at,
    IF(drawn DIV 100000000000000 MOD 200 = 0, created_at + INTERVAL 1 HOUR, NULL)
FROM (
    SELECT
        t.id,
        t.drawn,
        t.created_at,
        1 + t.drawn MOD 50 AS company_id,
        DATE(t.created_at) + INTERVAL 1 + t.drawn DIV 100000000 MOD 14 DAY
        + INTERVAL 15 * (32 + t.drawn DIV 10000000000 MOD 40) MINUTE AS starts_at
    FROM (
        SELECT
            seq AS id,
            CAST(CONV(LEFT(MD5(@appointments - seq), 15), 16, 10) AS SIGNED) AS drawn,
            @as_of - INTERVAL 1 + (@appointments - seq) * 86400 DIV @a_day SECOND AS created_at
        FROM seq_1_to_10000000
        WHERE seq <= @appointments
        -- Drawn once, not again for each column.
        LIMIT 10000000
    ) AS t
) AS u;

INSERT INTO appointment_phases (
    appointment_id, phase_type, start_offset_minutes, duration_minutes, staff_required, start_time, end_time,
    created_at, updated_at
)
SELECT STRAIGHT_JOIN
    a.id,
    ELT(p.seq, 'initial', 'processing', 'final'),
    ELT(p.seq, 0, 15, 45),
    IF(p.seq = 2, 30, 15),
    p.seq <> 2,
    a.starts_at + INTERVAL ELT(p.seq, 0, 15, 45) MINUTE,
    a.starts_at + INTERVAL ELT(p.seq, 15, 45, 60) MINUTE,
    a.created_at,
    a.created_at
FROM appointments AS a FORCE INDEX (PRIMARY)
INNER JOIN seq_1_to_3 AS p
WHERE
    (a.service_id <= 100 AND (@appointments - a.id) MOD 100 <> 0)
    -- Left over from when these services had processing time.
    OR (a.service_id BETWEEN 101 AND 110 AND (@appointments - a.id) MOD 100 = 0 AND a.created_at < @as_of - INTERVAL 2 DAY);
