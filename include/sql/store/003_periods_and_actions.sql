-- Rollups by week and month, and the audit of what people did.

CREATE TABLE IF NOT EXISTS weekly (
    period_start DATE NOT NULL COMMENT 'a Monday in Berlin',
    metric VARCHAR(80) NOT NULL,
    company_id BIGINT UNSIGNED NOT NULL COMMENT '0: all companies',
    value DOUBLE NULL,
    numerator DOUBLE NULL,
    denominator DOUBLE NULL,
    samples INT UNSIGNED NOT NULL,
    previous_value DOUBLE NULL,
    trend VARCHAR(10) NOT NULL COMMENT 'up, down, flat or too_few',
    PRIMARY KEY (period_start, metric, company_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS monthly (
    period_start DATE NOT NULL COMMENT 'the first of a month in Berlin',
    metric VARCHAR(80) NOT NULL,
    company_id BIGINT UNSIGNED NOT NULL COMMENT '0: all companies',
    value DOUBLE NULL,
    numerator DOUBLE NULL,
    denominator DOUBLE NULL,
    samples INT UNSIGNED NOT NULL,
    previous_value DOUBLE NULL,
    trend VARCHAR(10) NOT NULL COMMENT 'up, down, flat or too_few',
    PRIMARY KEY (period_start, metric, company_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS actions (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    dag_run_id VARCHAR(250) NOT NULL,
    action VARCHAR(40) NOT NULL,
    requested_by VARCHAR(120) NULL,
    approved_by VARCHAR(120) NULL,
    dry_run BOOLEAN NOT NULL,
    started_at DATETIME NOT NULL,
    finished_at DATETIME NULL,
    outcome VARCHAR(40) NULL,
    detail JSON NOT NULL,
    KEY actions_of_run (dag_run_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
