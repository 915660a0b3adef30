-- SPDX-License-Identifier: MIT
-- The booking application as it is deployed: sync state in appointments.calcom_sync_status (sync_status is a column of
-- services), soft deletes, composite services with phases of their own, and no index that starts with created_at.

CREATE TABLE companies (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  deleted_at TIMESTAMP NULL
) ENGINE = InnoDB;

CREATE TABLE staff (
  id CHAR(36) NOT NULL PRIMARY KEY,
  company_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  deleted_at TIMESTAMP NULL,
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
  deleted_at TIMESTAMP NULL,
  FOREIGN KEY (company_id) REFERENCES companies (id)
) ENGINE = InnoDB;

CREATE TABLE services (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  company_id BIGINT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  price DECIMAL(10, 2) NOT NULL DEFAULT 0,
  duration_minutes INT UNSIGNED NOT NULL,
  composite TINYINT(1) NOT NULL DEFAULT 0,
  segments LONGTEXT NULL,
  has_processing_time TINYINT(1) NOT NULL DEFAULT 0,
  initial_duration INT UNSIGNED NULL,
  processing_duration INT UNSIGNED NULL,
  final_duration INT UNSIGNED NULL,
  sync_status VARCHAR(32) NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  deleted_at TIMESTAMP NULL,
  INDEX services_has_processing_time_index (has_processing_time)
) ENGINE = InnoDB;

CREATE TABLE appointments (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  company_id BIGINT UNSIGNED NOT NULL,
  service_id BIGINT UNSIGNED NOT NULL,
  staff_id CHAR(36) NULL,
  customer_id BIGINT UNSIGNED NULL,
  starts_at TIMESTAMP NULL,
  ends_at TIMESTAMP NULL,
  status VARCHAR(32) NOT NULL DEFAULT 'scheduled',
  price DECIMAL(10, 2) NULL,
  notes TEXT NULL,
  calcom_sync_status ENUM(
    'synced', 'pending', 'failed', 'orphaned_local', 'orphaned_calcom', 'verification_pending'
  ) NULL DEFAULT 'pending',
  sync_error_code VARCHAR(64) NULL,
  sync_error_message TEXT NULL,
  sync_attempt_count TINYINT UNSIGNED NOT NULL DEFAULT 0,
  last_sync_attempt_at TIMESTAMP NULL,
  requires_manual_review TINYINT(1) NOT NULL DEFAULT 0,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  deleted_at TIMESTAMP NULL,
  INDEX appointments_starts_at_status_price_index (starts_at, status, price),
  INDEX appointments_status_starts_at_created_at_index (status, starts_at, created_at),
  FOREIGN KEY (company_id) REFERENCES companies (id),
  FOREIGN KEY (service_id) REFERENCES services (id),
  FOREIGN KEY (staff_id) REFERENCES staff (id),
  FOREIGN KEY (customer_id) REFERENCES customers (id)
) ENGINE = InnoDB;

CREATE TABLE appointment_phases (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  appointment_id BIGINT UNSIGNED NOT NULL,
  phase_type ENUM('initial', 'processing', 'final') NOT NULL,
  segment_name VARCHAR(255) NULL,
  segment_key VARCHAR(64) NULL,
  sequence_order INT UNSIGNED NULL,
  start_offset_minutes INT UNSIGNED NOT NULL,
  duration_minutes INT UNSIGNED NOT NULL,
  staff_required TINYINT(1) NOT NULL DEFAULT 1,
  start_time TIMESTAMP NULL,
  end_time TIMESTAMP NULL,
  created_at TIMESTAMP NULL,
  updated_at TIMESTAMP NULL,
  INDEX appointment_phases_start_time_end_time_index (start_time, end_time),
  INDEX appointment_phases_appointment_id_phase_type_index (appointment_id, phase_type),
  INDEX appointment_phases_staff_required_index (staff_required),
  INDEX appointment_phases_appointment_id_sequence_order_index (appointment_id, sequence_order),
  FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE
) ENGINE = InnoDB;
