# SPDX-License-Identifier: MIT
"""A small application for the SQL tests: the tables that the metrics read, in both worlds, and its rows in Python too.

Rows are kept as they are inserted, so that a test can count them again without SQL.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import MySQLdb

World = Literal["guide", "deployed"]
# Parallel workers may share a server of the user's.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
SCHEMA = f"application_under_test{WORKER}"
READER, PASSWORD = f"reader_under_test{WORKER}", "reads-only/7f3a"
BERLIN = ZoneInfo("Europe/Berlin")

_SOFT = "deleted_at TIMESTAMP NULL"
_DDL: dict[World, tuple[str, ...]] = {
    "guide": (
        """CREATE TABLE services (id CHAR(36) PRIMARY KEY, company_id BIGINT UNSIGNED,
           has_processing_time TINYINT(1), initial_duration INT, processing_duration INT, final_duration INT)""",
        """CREATE TABLE appointments (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, service_id CHAR(36),
           staff_id CHAR(36), starts_at TIMESTAMP NULL, sync_status VARCHAR(32), created_at TIMESTAMP NULL,
           INDEX (created_at), INDEX (service_id), INDEX appointments_staff (staff_id, starts_at))""",
        """CREATE TABLE appointment_phases (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
           appointment_id BIGINT UNSIGNED, phase_type VARCHAR(32), staff_required TINYINT(1),
           start_time TIMESTAMP NULL, end_time TIMESTAMP NULL, created_at TIMESTAMP NULL, INDEX (appointment_id))""",
    ),
    "deployed": (
        f"""CREATE TABLE services (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, company_id BIGINT UNSIGNED,
           has_processing_time TINYINT(1), initial_duration INT, processing_duration INT, final_duration INT,
           sync_status VARCHAR(32) DEFAULT 'synced', {_SOFT})""",
        f"""CREATE TABLE appointments (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, service_id BIGINT UNSIGNED,
           staff_id CHAR(36), starts_at TIMESTAMP NULL, status VARCHAR(32) DEFAULT 'scheduled', price DECIMAL(10, 2),
           calcom_sync_status ENUM('synced', 'pending', 'failed', 'orphaned_local', 'verification_pending'),
           created_at TIMESTAMP NULL, {_SOFT}, INDEX (service_id), INDEX (staff_id),
           INDEX appointments_start (starts_at, status, price), INDEX (status, starts_at, created_at))""",
        """CREATE TABLE appointment_phases (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
           appointment_id BIGINT UNSIGNED, phase_type VARCHAR(32), segment_key VARCHAR(64), staff_required TINYINT(1),
           start_time TIMESTAMP NULL, end_time TIMESTAMP NULL, created_at TIMESTAMP NULL,
           INDEX (appointment_id, phase_type), INDEX (start_time, end_time))""",
    ),
}


@dataclass
class Service:
    id: int | str
    company_id: int | None = 1
    has_processing_time: bool = True
    durations: tuple[int | None, int | None, int | None] = (15, 30, 15)
    deleted: bool = False


@dataclass
class Phase:
    type: str
    starts_at: datetime
    ends_at: datetime
    staff_required: bool = True
    segment_key: str | None = None


@dataclass
class Appointment:
    id: int
    service: Service | None
    created_at: datetime | None
    staff_id: str | None
    starts_at: datetime
    sync: str | None
    deleted: bool
    phases: list[Phase] = field(default_factory=list)


class Application:
    """The application's tables in a schema of their own, empty at first."""

    def __init__(self, server: Any, world: World, timezone: ZoneInfo | None = None) -> None:
        self.world, self.zone = world, timezone or ZoneInfo("UTC")
        self.services: list[Service] = []
        self.appointments: list[Appointment] = []
        self._server = server
        self._next = 1
        with contextlib.closing(server.root()) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {SCHEMA}")
            cursor.execute(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
            cursor.execute(f"USE {SCHEMA}")
            for statement in _DDL[world]:
                cursor.execute(statement)
            cursor.execute(f"DROP USER IF EXISTS {READER}@'%'")
            cursor.execute(f"CREATE USER {READER}@'%' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT SELECT ON {SCHEMA}.* TO {READER}@'%'")

    @property
    def sync_column(self) -> str:
        return "sync_status" if self.world == "guide" else "calcom_sync_status"

    @property
    def error(self) -> str:
        return "error" if self.world == "guide" else "failed"

    def connect(self, **changed: Any) -> Any:
        """A connection of the user that the monitor has: SELECT and nothing else."""
        host = getattr(self._server, "host", "127.0.0.1")
        arguments = {
            "host": host,
            "port": self._server.port,
            "user": READER,
            "password": PASSWORD,
            "database": SCHEMA,
        }
        return MySQLdb.connect(**{**arguments, "init_command": "SET time_zone = '+00:00'", **changed})

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Statements as the superuser; the rows of the last."""
        with contextlib.closing(self._server.root(SCHEMA)) as connection, connection.cursor() as cursor:
            for statement in ("SET time_zone = '+00:00'", *statements):
                cursor.execute(statement)
            return list(cursor.fetchall())

    def service(self, **properties: Any) -> Service:
        """Add a service; its id is a number where the application is deployed, a UUID in the guide."""
        number = len(self.services) + 1
        id_: int | str = number if self.world == "deployed" else f"{number:08x}-0000-4000-8000-000000000000"
        service = Service(id_, **properties)
        self.services.append(service)
        return service

    def appointment(
        self,
        service: Service | None,
        created_at: datetime | None,
        *,
        phases: Sequence[Phase] | Literal["all"] = "all",
        staff_id: str | None = "anna",
        starts_at: datetime | None = None,
        sync: str | None = "synced",
        deleted: bool = False,
        number: int | None = None,
    ) -> Appointment:
        """Add an appointment with the phases that its service gives, or others, or none."""
        starts_at = starts_at or (created_at or datetime(2026, 1, 1, tzinfo=UTC)) + timedelta(days=3)
        made = Appointment(number or self._next, service, created_at, staff_id, starts_at, sync, deleted)
        self._next = max(self._next, made.id) + 1
        made.phases = phases_of(service, starts_at) if phases == "all" else list(phases)
        self.appointments.append(made)
        return made

    def insert(self) -> None:
        """Write what was added to the database, replacing what is there."""
        naive = self._naive
        self._fill(
            "services",
            [
                "id",
                "company_id",
                "has_processing_time",
                "initial_duration",
                "processing_duration",
                "final_duration",
            ],
            ([s.id, s.company_id, s.has_processing_time, *s.durations] for s in self.services),
            [s.deleted for s in self.services],
        )
        self._fill(
            "appointments",
            ["id", "service_id", "staff_id", "starts_at", self.sync_column, "created_at"],
            (
                [
                    a.id,
                    a.service and a.service.id,
                    a.staff_id,
                    naive(a.starts_at),
                    a.sync,
                    naive(a.created_at),
                ]
                for a in self.appointments
            ),
            [a.deleted for a in self.appointments],
        )
        segment = ["segment_key"] if self.world == "deployed" else []
        self._fill(
            "appointment_phases",
            ["appointment_id", "phase_type", "staff_required", "start_time", "end_time", *segment],
            (
                [a.id, p.type, p.staff_required, naive(p.starts_at), naive(p.ends_at)]
                + ([p.segment_key] if segment else [])
                for a in sorted(self.appointments, key=lambda a: a.id)
                for p in a.phases
            ),
        )

    def _fill(
        self, table: str, columns: list[str], rows: Iterable[list[Any]], deleted: list[bool] | None = None
    ) -> None:
        records = list(rows)
        if deleted is not None and self.world == "deployed":
            columns = [*columns, "deleted_at"]
            records = [[*r, "2026-01-01" if d else None] for r, d in zip(records, deleted, strict=True)]
        elif deleted and any(deleted):
            raise ValueError("nothing is soft-deleted in the guide's world")
        with contextlib.closing(self._server.root(SCHEMA)) as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(f"DELETE FROM {table}")
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", records)

    def _naive(self, instant: datetime | None) -> datetime | None:
        return instant.astimezone(self.zone).replace(tzinfo=None) if instant else None


def phases_of(service: Service | None, starts_at: datetime) -> list[Phase]:
    """The phases that the application makes: one for each duration above nought."""
    made: list[Phase] = []
    if service is None:
        return made
    at = starts_at
    for type_, minutes in zip(("initial", "processing", "final"), service.durations, strict=True):
        if minutes:
            made.append(
                Phase(type_, at, at + timedelta(minutes=minutes), staff_required=type_ != "processing")
            )
            at += timedelta(minutes=minutes)
    return made


def berlin(text: str) -> datetime:
    """An instant from Berlin wall-clock time, such as ``2026-03-29 12:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)
