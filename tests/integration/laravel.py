# SPDX-License-Identifier: MIT
"""A real Laravel with the deployed application's tables: a copy of demo/laravel on Debian's framework and our MariaDB."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from demo.services import MariaDB
from processing_time.incident import artisan_local
from processing_time.incident.action import Hands
from processing_time.incident.artisan import Artisan, PhpArtisan
from processing_time.incident.artisan_location import Location
from processing_time.settings import load

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = "php-cli php-mysql php-laravel-framework"
PHP = shutil.which("php") or "php"
SCHEMA = "laravel_under_test"
SECRET = "laravel's own password"


def _missing() -> bool:
    if not shutil.which("php") or not Path("/usr/share/php/Illuminate/autoload.php").is_file():
        return True
    modules = subprocess.run([PHP, "-m"], capture_output=True, text=True, check=True).stdout.split()
    return "pdo_mysql" not in modules


needs_laravel = pytest.mark.skipif(_missing(), reason=f"needs the apt packages {PACKAGES}")

_QUEUE = (
    """CREATE TABLE failed_jobs (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, uuid VARCHAR(255) UNIQUE, connection TEXT,
       queue TEXT, payload LONGTEXT, exception LONGTEXT, failed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)""",
    """CREATE TABLE jobs (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, queue VARCHAR(255), payload LONGTEXT,
       attempts TINYINT UNSIGNED, reserved_at INT UNSIGNED, available_at INT UNSIGNED, created_at INT UNSIGNED)""",
)
_DISPATCH = """<?php
require 'vendor/autoload.php';
(require 'bootstrap/app.php')->make(Illuminate\\Contracts\\Console\\Kernel::class)->bootstrap();
app(Illuminate\\Contracts\\Bus\\Dispatcher::class)->dispatch(new App\\Jobs\\SyncAppointmentToCalcomJob((int) $argv[1]));
"""


class Laravel:
    """The application in `directory`, with one company, one member of staff and the schema to itself."""

    def __init__(self, server: MariaDB, directory: Path) -> None:
        self.directory, self.environment = directory, directory / ".env"
        self._server = server
        shutil.copytree(PROJECT / "demo" / "laravel", directory)
        self.environment.write_text(
            f'APP_KEY=base64:c3RhbmQtaW4gYXBwbGljYXRpb24ga2V5IQ==\nMAIL_PASSWORD="{SECRET}"\n'
            f"DB_SOCKET={server.socket}\nDB_DATABASE={SCHEMA}\n"
            "\n# Processing Time\nexport FEATURE_PROCESSING_TIME_ENABLED=true  # pilot\n"
            'FEATURE_PROCESSING_TIME_SERVICE_WHITELIST="2,3"\nFEATURE_PROCESSING_TIME_COMPANY_WHITELIST=\n'
        )
        self.environment.chmod(0o640)
        with contextlib.closing(server.root()) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {SCHEMA}")
            cursor.execute(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        schema = (PROJECT / "demo" / "schema" / "deployed.sql").read_text()
        statements = "\n".join(line for line in schema.splitlines() if not line.startswith("--")).split(";")
        self.sql(
            *(s for s in statements if s.strip()),
            *_QUEUE,
            "INSERT INTO companies (id, name) VALUES (1, 'Salon')",
        )

    def connect(self) -> Any:
        """A connection to its schema."""
        return MySQLdb.connect(
            unix_socket=self._server.socket, user="root", database=SCHEMA, charset="utf8mb4"
        )

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Statements as the superuser; the rows of the last."""
        with contextlib.closing(self._server.root(SCHEMA)) as connection, connection.cursor() as cursor:
            for statement in ("SET time_zone = '+00:00'", *statements):
                cursor.execute(statement)
            return list(cursor.fetchall())

    def service(self, id_: int, *, company: int = 1, durations: Sequence[int] = (15, 30, 15)) -> None:
        """Add a service with processing time."""
        self.sql(
            "INSERT INTO services (id, company_id, name, duration_minutes, has_processing_time, initial_duration,"
            f" processing_duration, final_duration) VALUES ({id_}, {company}, 'Färben', 60, 1,"
            f" {durations[0]}, {durations[1]}, {durations[2]})"
        )

    def appointment(self, id_: int, service: int, created_at: datetime, *, deleted: bool = False) -> None:
        """Add an appointment without phases."""
        starts = created_at + timedelta(days=2)
        self.sql(
            "INSERT INTO appointments (id, company_id, service_id, starts_at, created_at, deleted_at) VALUES"
            f" ({id_}, 1, {service}, '{starts:%F %T}', '{created_at:%F %T}', {'NOW()' if deleted else 'NULL'})"
        )

    def phases(self) -> dict[int, list[str]]:
        """The types of the phases by appointment, in the order of their times."""
        found: dict[int, list[str]] = {}
        for appointment, kind in self.sql(
            "SELECT appointment_id, phase_type FROM appointment_phases ORDER BY start_time, id"
        ):
            found.setdefault(appointment, []).append(kind)
        return found

    def failed_sync(self, appointment: int) -> str:
        """Let a sync job fail as jobs do; the uuid of the failed job."""
        self.php("--", str(appointment), given=_DISPATCH)
        self.php("artisan", "queue:work", "--once", "--tries=1")
        return str(self.sql("SELECT uuid FROM failed_jobs ORDER BY id DESC LIMIT 1")[0][0])

    def php(self, *arguments: str, given: str = "", **variables: str) -> str:
        """Run php in its directory, with variables as a deployment may have; what it wrote."""
        done = subprocess.run(
            [PHP, *arguments],
            input=given,
            cwd=self.directory,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def artisan(self, timeout: int = 60) -> Artisan:
        """Artisan on this machine."""
        return PhpArtisan(artisan_local.runner(timeout), Location(str(self.directory), PHP, timeout))

    def hands(self, artisan: Artisan | None = None) -> Hands:
        """Hands that reach this application and nothing else."""
        shipped = load()
        application = shipped.application.model_copy(
            update={"env_file": self.environment, "sync_status_column": "calcom_sync_status"}
        )

        def nothing() -> Any:
            raise AssertionError("this action needs no such thing")

        return Hands(
            settings=shipped.model_copy(update={"application": application}),
            application=self.connect,
            write=nothing,
            redis=nothing,
            artisan=lambda: artisan or self.artisan(),
            calcom=nothing,
            store=None,  # type: ignore[arg-type]
        )
