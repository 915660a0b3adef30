# SPDX-License-Identifier: MIT
"""The stand-in Laravel application on real servers: its schema and rows, log files, feature flags and cache.

`Application.build` puts an `Account` there; `environment` is what an Airflow needs to watch it. Least privilege as
the documentation asks for it: the monitor reads, and writes to nothing but its own schema.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from demo import records
from demo.account import Account, Appointment, Flags, LogRecord, World
from demo.traffic import phases_of

if TYPE_CHECKING:
    import redis

SCHEMAS = Path(__file__).parent / "schema"
#: The users made for the monitor, with passwords that are easy to find wherever they should not be.
PASSWORDS = {
    "pt_monitor": "reads@only-5bdc2f",
    "pt_monitor_write": "repairs:phases-91ae07",
    "pt_store": "keeps/history-c63b18",
}
CACHE_PREFIX = "booking_database_booking_cache_:"
_ENVIRONMENT_FILE = """\
APP_NAME=Booking
APP_ENV=production
APP_KEY=base64:c3RhbmQtaW4gYXBwbGljYXRpb24ga2V5IQ==
APP_TIMEZONE={timezone}

DB_CONNECTION=mysql
DB_DATABASE={schema}
DB_PASSWORD="laravel's own password"

CACHE_DRIVER=redis

# Processing Time
FEATURE_PROCESSING_TIME_ENABLED={enabled}
FEATURE_PROCESSING_TIME_SERVICE_WHITELIST="{services}"
FEATURE_PROCESSING_TIME_COMPANY_WHITELIST={companies}
FEATURE_PROCESSING_TIME_SHOW_UI=true
FEATURE_PROCESSING_TIME_CALCOM_SYNC=true
FEATURE_PROCESSING_TIME_AUTO_PHASES={auto_phases}
"""


class Server(Protocol):
    """The database server: `demo.services.MariaDB`, or one of the user's."""

    def root(self, schema: str = "") -> Any:
        """A connection that may create schemas and users."""

    def uri(self, user: str, password: str, schema: str) -> str:
        """The Airflow connection URI of `user`."""


class Cache(Protocol):
    """The Redis of the application: `demo.services.Redis`, or another one."""

    def client(self, db: int = 0) -> redis.Redis:
        """A client of database number `db`."""

    def uri(self, db: int = 0) -> str:
        """The Airflow connection URI of database number `db`."""


class Application:
    """One application in its own schema, with its files in `directory` and its cache in database 1 of Redis.

    `timezone` is the one that it writes its times in; `iso_times` writes log times as newer set-ups do.
    """

    def __init__(
        self,
        server: Server,
        redis: Cache,
        directory: Path,
        *,
        schema: str = "booking",
        store: str = "processing_time_monitor",
        timezone: str = "UTC",
        iso_times: bool = False,
    ) -> None:
        self.schema, self.store = schema, store
        self.logs = Path(directory).resolve() / "storage" / "logs"
        self.env_file = Path(directory).resolve() / ".env"
        self._server, self._redis = server, redis
        self._timezone = timezone
        self._iso_times = iso_times
        self._world: World = "guide"

    def build(self, account: Account) -> None:
        """Replace schema, files and cache by those of `account`; the store's schema is made anew and empty."""
        self.create(account.world)
        self.insert(account)
        self.write_logs(account.records)
        self.write_flags(account.flags)
        self.warm_cache(account)

    def connect(self) -> Any:
        """A MySQLdb connection to the application's schema with all rights, for a test or a step of a scenario."""
        return self._server.root(self.schema)

    def create(self, world: World) -> None:
        """Make both schemas anew, empty, and the three users with their grants."""
        self._world = world
        application, store = _quoted(self.schema), _quoted(self.store)
        with contextlib.closing(self._server.root()) as connection, connection.cursor() as cursor:
            for schema in (application, store):
                cursor.execute(f"DROP DATABASE IF EXISTS {schema}")
                cursor.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
            cursor.execute(f"USE {application}")
            for statement in _statements(SCHEMAS / f"{world}.sql"):
                cursor.execute(statement)
            for user, password in PASSWORDS.items():
                cursor.execute("DROP USER IF EXISTS %s@'%%'", (user,))
                cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (user, password))
            cursor.execute(f"GRANT SELECT ON {application}.* TO pt_monitor@'%'")
            cursor.execute(f"GRANT SELECT ON {application}.* TO pt_monitor_write@'%'")
            cursor.execute(
                f"GRANT INSERT, DELETE ON {application}.appointment_phases TO pt_monitor_write@'%'"
            )
            cursor.execute(f"GRANT ALL PRIVILEGES ON {store}.* TO pt_store@'%'")

    def insert(self, account: Account) -> None:
        """Insert the rows of `account` into the empty tables."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION foreign_key_checks = 0, unique_checks = 0")
            connection.begin()
            for table, columns, rows in self._tables(account):
                marks = ", ".join(["%s"] * len(columns.split()))
                names = ", ".join(columns.split())
                cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(rows))
            connection.commit()

    def repair(self, appointments: Iterable[Appointment], at: datetime) -> None:
        """Make the missing phases, as somebody who repairs them by hand would at that time."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            repaired = [appointment for appointment in appointments if not appointment.phases]
            for appointment in repaired:
                appointment.phases = phases_of(appointment)
            names = ", ".join(self._phase_columns.split())
            marks = ", ".join(["%s"] * len(self._phase_columns.split()))
            rows = [row for appointment in repaired for row in self._phase_rows(appointment, at)]
            cursor.executemany(f"INSERT INTO appointment_phases ({names}) VALUES ({marks})", rows)

    def write_logs(self, log: Sequence[LogRecord]) -> None:
        """Write the log files anew: one laravel.log; deployed, the sync job's by day and kept for two weeks."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.glob("*.log"):
            old.unlink()
        texts: dict[str, list[str]] = {"laravel.log": []}
        kept = max((record.at for record in log), default=None)
        for record in log:
            name = "laravel.log"
            if record.channel == "calcom" and self._world == "deployed":
                if kept is not None and record.at < kept - timedelta(days=14):
                    continue
                name = f"calcom-{self._local(record.at):%Y-%m-%d}.log"
            texts.setdefault(name, []).append(self._log_text(record))
        for name, lines in texts.items():
            (self.logs / name).write_text("".join(lines), encoding="utf-8")

    def remove_logs(self) -> None:
        """Delete every log file, as a cleaning job or a moved mount would."""
        for file in self.logs.glob("*.log"):
            file.unlink()

    def write_flags(self, flags: Flags) -> None:
        """Write the .env file with the feature flags."""
        self.env_file.parent.mkdir(parents=True, exist_ok=True)
        text = _ENVIRONMENT_FILE.format(
            timezone=self._timezone,
            schema=self.schema,
            enabled=str(flags.enabled).lower(),
            services=",".join(flags.service_whitelist),
            companies=",".join(map(str, flags.company_whitelist)),
            auto_phases=str(flags.auto_phases).lower(),
        )
        self.env_file.write_text(text, encoding="utf-8")

    def warm_cache(self, account: Account) -> int:
        """Fill database 1 with what Laravel keeps there; returns the number of availability entries.

        They expire after 60 seconds, in the deployed world after 30, as the application's do.
        """
        day = account.until.date()
        weeks = [day + timedelta(days=7 * week) for week in range(2)]
        split = [service for service in account.services if service.has_processing_time]
        keys = [records.cache_key(service, week, account.world) for service in split for week in weeks]
        lifetime = 60 if account.world == "guide" else 30
        with contextlib.closing(self._redis.client(1)) as client:
            client.flushdb()
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.set(f"{CACHE_PREFIX}{key}", 'a:1:{s:5:"slots";a:0:{}}', ex=lifetime)
            for number in range(200):
                pipeline.set(f"booking_database_booking_session_:{number:040x}", 's:0:"";', ex=7200)
            pipeline.set(f"{CACHE_PREFIX}spatie.permission.cache", "a:0:{}")
            pipeline.execute()
        return len(keys)

    def environment(
        self, slack: str | None, channels: Mapping[str, str], on_call: str | None
    ) -> dict[str, str]:
        """The variables with which an Airflow watches this application.

        `slack` is the connection as JSON (None leaves the one of the caller's environment), `channels` the
        channel id of each severity, `on_call` the mention.
        """
        variables = {
            "AIRFLOW_CONN_PROCESSING_TIME_MYSQL": self._uri("pt_monitor", self.schema),
            "AIRFLOW_CONN_PROCESSING_TIME_MYSQL_WRITE": self._uri("pt_monitor_write", self.schema),
            "AIRFLOW_CONN_PROCESSING_TIME_STORE": self._uri("pt_store", self.store),
            "AIRFLOW_CONN_PROCESSING_TIME_REDIS": self._redis.uri(1),
            "PROCESSING_TIME__APPLICATION__LOGS": _json_list(
                f"{self.logs}/laravel*.log*", f"{self.logs}/calcom*.log*"
            ),
            "PROCESSING_TIME__APPLICATION__ENV_FILE": str(self.env_file),
            "PROCESSING_TIME__APPLICATION__TIMEZONE": self._timezone,
        }
        for severity, channel in channels.items():
            variables[f"PROCESSING_TIME__SLACK__CHANNELS__{severity.upper()}"] = channel
        if slack is not None:
            variables["AIRFLOW_CONN_PROCESSING_TIME_SLACK"] = slack
        if on_call is not None:
            variables["PROCESSING_TIME__SLACK__ON_CALL"] = on_call
        if self._world == "deployed":
            variables |= {
                "PROCESSING_TIME__APPLICATION__SYNC_STATUS_COLUMN": "calcom_sync_status",
                "PROCESSING_TIME__APPLICATION__ERROR_VALUES": _json_list("failed"),
                "PROCESSING_TIME__APPLICATION__CACHE_KEY_PATTERN": "*week_availability:*",
            }
        return variables

    # --- rows and lines ---

    def _tables(self, account: Account) -> Iterator[tuple[str, str, Iterable[tuple[Any, ...]]]]:
        first = account.until - timedelta(days=400)
        opened = self._sql(first)
        deployed = account.world == "deployed"
        yield (
            "companies",
            "id name created_at",
            ((company.id, company.name, opened) for company in account.companies),
        )
        yield (
            "staff",
            "id company_id name created_at",
            (
                (person, company.id, f"Mitarbeiter {number}", opened)
                for company in account.companies
                for number, person in enumerate(company.staff, start=1)
            ),
        )
        yield (
            "customers",
            "id company_id name email phone created_at",
            ((c.id, c.company_id, c.name, c.email, c.phone, opened) for c in account.customers),
        )
        columns = (
            "id company_id name duration_minutes has_processing_time initial_duration processing_duration"
        )
        yield (
            "services",
            f"{columns} final_duration created_at"
            + (" composite deleted_at sync_status" if deployed else ""),
            (
                (
                    s.id,
                    s.company_id,
                    s.name,
                    s.duration,
                    s.has_processing_time,
                    s.initial,
                    s.processing,
                    s.final,
                    opened,
                )
                + ((s.composite, opened if s.withdrawn else None, "synced") if deployed else ())
                for s in account.services
            ),
        )
        columns = "id company_id service_id staff_id customer_id starts_at ends_at price notes created_at updated_at"
        yield (
            "appointments",
            columns
            + (" calcom_sync_status sync_error_code deleted_at" if deployed else " sync_status sync_error"),
            (self._appointment_row(appointment, deployed=deployed) for appointment in account.appointments),
        )
        yield (
            "appointment_phases",
            self._phase_columns,
            (
                row
                for appointment in account.appointments
                for row in self._phase_rows(appointment, appointment.created_at)
            ),
        )

    def _appointment_row(self, appointment: Appointment, *, deployed: bool) -> tuple[Any, ...]:
        created = self._sql(appointment.created_at)
        failed = appointment.sync in ("error", "failed")
        common = (
            appointment.id,
            appointment.service.company_id,
            appointment.service.id,
            appointment.staff_id,
            appointment.customer.id,
            self._sql(appointment.starts_at),
            self._sql(appointment.ends_at),
            25 + appointment.service.duration / 2,
            f"Bitte anrufen: {appointment.customer.phone}" if appointment.id % 50 == 0 else None,
            created,
            created,
            appointment.sync,
        )
        if deployed:
            deleted = self._sql(appointment.deleted_at) if appointment.deleted_at else None
            return (*common, "CALCOM_503" if failed else None, deleted)
        return (*common, "Cal.com API answered 503 Service Unavailable" if failed else None)

    @property
    def _phase_columns(self) -> str:
        columns = "appointment_id phase_type start_offset_minutes duration_minutes staff_required"
        columns += " start_time end_time created_at updated_at"
        return columns + (" segment_key segment_name sequence_order" if self._world == "deployed" else "")

    def _phase_rows(self, appointment: Appointment, at: datetime) -> Iterator[tuple[Any, ...]]:
        created = self._sql(at)
        for order, phase in enumerate(appointment.phases, start=1):
            row: tuple[Any, ...] = (
                appointment.id,
                phase.kind,
                (phase.starts_at - appointment.starts_at) // timedelta(minutes=1),
                (phase.ends_at - phase.starts_at) // timedelta(minutes=1),
                phase.staff_required,
                self._sql(phase.starts_at),
                self._sql(phase.ends_at),
                created,
                created,
            )
            if self._world == "deployed":
                name = f"Segment {phase.segment_key}" if phase.segment_key else None
                row += (phase.segment_key, name, order)
            yield row

    def _log_text(self, record: LogRecord) -> str:
        local = self._local(record.at)
        at = local.isoformat(timespec="microseconds") if self._iso_times else f"{local:%Y-%m-%d %H:%M:%S}"
        lines = (f"[{at}] production.{record.level}: {record.message}", *record.trace)
        return "\n".join(lines) + "\n"

    def _local(self, instant: datetime) -> datetime:
        return instant.astimezone(ZoneInfo(self._timezone))

    def _sql(self, instant: datetime) -> str:
        return f"{self._local(instant):%Y-%m-%d %H:%M:%S}"

    def _uri(self, user: str, schema: str) -> str:
        return self._server.uri(user, PASSWORDS[user], schema)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _statements(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return [statement for statement in text.split(";") if statement.strip()]


def _json_list(*values: str) -> str:
    return json.dumps(values)
