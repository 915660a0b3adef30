-- What a rollback took out of the application, to be put back, and mutes that need no deployment.

CREATE TABLE IF NOT EXISTS saved_appointments (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    appointment_id BIGINT UNSIGNED NOT NULL,
    state VARCHAR(20) NOT NULL COMMENT 'saved, removed, restored, or obsolete: the application has phases',
    appointment JSON NOT NULL COMMENT 'the columns that decide whether its phases still fit',
    overlapping JSON NOT NULL COMMENT 'ids of bookings that needed the same person at that time before',
    phases INT UNSIGNED NOT NULL,
    checksum CHAR(64) NOT NULL COMMENT 'SHA-256 of appointment and phases',
    saved_at DATETIME NOT NULL,
    removed_at DATETIME NULL,
    restored_at DATETIME NULL,
    -- Unique keys let NULL repeat: one copy of an appointment is in force, any number is history.
    in_force BOOLEAN GENERATED ALWAYS AS (CASE WHEN state IN ('saved', 'removed') THEN 1 END) STORED,
    UNIQUE KEY one_copy_in_force (appointment_id, in_force)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS saved_phases (
    saved_id BIGINT UNSIGNED NOT NULL,
    phase_id BIGINT UNSIGNED NOT NULL,
    phase JSON NOT NULL COMMENT 'every column as text, times in UTC, binary columns in hexadecimal',
    PRIMARY KEY (saved_id, phase_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS mutes (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    rule VARCHAR(80) NOT NULL,
    company_id BIGINT UNSIGNED NOT NULL COMMENT '0: all companies',
    starts_at DATETIME NOT NULL,
    ends_at DATETIME NOT NULL,
    reason VARCHAR(500) NOT NULL,
    muted_by VARCHAR(120) NULL,
    UNIQUE KEY one_beginning (rule, company_id, starts_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
