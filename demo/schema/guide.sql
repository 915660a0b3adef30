-- SPDX-License-Identifier: MIT
-- The booking application as the monitoring guide describes it: sync state in appointments.sync_status, service
-- ids are UUIDs, no soft deletes, three phase types, indexes on created_at.

CREATE TABLE companies (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL
) ENGINE = InnoDB;

CREATE TABLE staff (
  id CHAR(36) NOT NULL PRIMARY KEY,
  company_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  FOREIGN KEY (company_id) REFERENCES companies (id)
) ENGINE = InnoDB;

CREATE TABLE customers (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  company_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  email VARCHAR(255) NULL,
  phone VARCHAR(64) NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  FOREIGN KEY (company_id) REFERENCES companies (id)
) ENGINE = InnoDB;

CREATE TABLE services (
  id CHAR(36) NOT NULL PRIMARY KEY,
  company_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  price DECIMAL(10, 2) NOT NULL DEFAULT 0,
  duration_minutes INT UNSIGNED NOT NULL,
  has_processing_time TINYINT(1) NOT NULL DEFAULT 0,
  initial_duration INT UNSIGNED NULL,
  processing_duration INT UNSIGNED NULL,
  final_duration INT UNSIGNED NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  INDEX services_has_processing_time_index (has_processing_time),
  FOREIGN KEY (company_id) REFERENCES companies (id)
) ENGINE = InnoDB;

CREATE TABLE appointments (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  company_id BIGINT UNSIGNED NOT NULL,
  service_id CHAR(36) NOT NULL,
  staff_id CHAR(36) NULL,
  customer_id BIGINT UNSIGNED NULL,
  starts_at TIMESTAMP NULL,
  ends_at TIMESTAMP NULL,
  status VARCHAR(32) NOT NULL DEFAULT 'scheduled',
  price DECIMAL(10, 2) NULL,
  notes TEXT NULL,
  sync_status VARCHAR(32) NULL,
  sync_error TEXT NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  INDEX appointments_created_at_index (created_at),
  INDEX appointments_staff_id_starts_at_index (staff_id, starts_at),
  FOREIGN KEY (company_id) REFERENCES companies (id),
  FOREIGN KEY (service_id) REFERENCES services (id),
  FOREIGN KEY (staff_id) REFERENCES staff (id),
  FOREIGN KEY (customer_id) REFERENCES customers (id)
) ENGINE = InnoDB;

CREATE TABLE appointment_phases (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  appointment_id BIGINT UNSIGNED NOT NULL,
  phase_type ENUM('initial', 'processing', 'final') NOT NULL,
  start_offset_minutes INT UNSIGNED NOT NULL,
  duration_minutes INT UNSIGNED NOT NULL,
  staff_required TINYINT(1) NOT NULL DEFAULT 1,
  start_time TIMESTAMP NULL,
  end_time TIMESTAMP NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  INDEX appointment_phases_created_at_index (created_at),
  INDEX appointment_phases_start_time_end_time_index (start_time, end_time),
  FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE
) ENGINE = InnoDB;
