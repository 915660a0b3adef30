-- Checks, their samples, and what was last seen when.
-- Times are UTC. Every statement may run again: a crash between two of them is repaired by the next start.

CREATE TABLE IF NOT EXISTS schema_version (
    version SMALLINT UNSIGNED NOT NULL PRIMARY KEY COMMENT 'number of the newest file that was applied',
    applied_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS checks (
    as_of DATETIME NOT NULL PRIMARY KEY,
    dag_run_id VARCHAR(250) NOT NULL,
    state VARCHAR(20) NOT NULL,
    finished_at DATETIME NULL COMMENT 'NULL until its decisions and messages are committed',
    counted BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'counts for clearing, reminding and levels',
    flags JSON NULL COMMENT 'feature flags; NULL where none are configured',
    sources JSON NOT NULL COMMENT 'start of "since last check" by source, for the sources that were measured',
    facts JSON NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS samples (
    as_of DATETIME NOT NULL,
    metric VARCHAR(80) NOT NULL,
    company_id BIGINT UNSIGNED NOT NULL COMMENT '0: all companies',
    window_start DATETIME NOT NULL,
    window_end DATETIME NOT NULL,
    value DOUBLE NULL,
    numerator DOUBLE NULL,
    denominator DOUBLE NULL,
    state VARCHAR(20) NOT NULL,
    severity VARCHAR(10) NULL COMMENT 'set for alert and critical',
    reason TEXT NOT NULL,
    loss VARCHAR(10) NULL COMMENT 'why it could not be measured',
    certain BOOLEAN NOT NULL DEFAULT TRUE,
    level_cap TINYINT UNSIGNED NOT NULL DEFAULT 3,
    muted TEXT NOT NULL COMMENT 'reason and end of the mute; empty when not muted',
    detail JSON NOT NULL,
    PRIMARY KEY (as_of, metric, company_id),
    KEY samples_of_metric (metric, company_id, as_of)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sightings (
    name VARCHAR(120) NOT NULL PRIMARY KEY COMMENT 'a kind of log line, or measured:<metric>',
    last_seen DATETIME NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
