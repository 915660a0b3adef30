# SPDX-License-Identifier: MIT
"""A private MariaDB with the deployed application's schema, filled in bulk: the same last weeks in tables of three sizes.

The data directory is kept, so that only the first run pays for it. The server has a buffer pool that holds the
largest schema, and InnoDB's own default for everything else that matters to a reader.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figures import Bench, Size
from demo.services import MariaDB
from processing_time.sources.boundaries import Watermark

SCHEMA = Path(__file__).parents[1] / "demo" / "schema" / "deployed.sql"
FILL = Path(__file__).parent / "data" / "fill.sql"
AS_OF = datetime(2026, 3, 6, 19, tzinfo=UTC)
"""Eight in the evening in Berlin: the longest windows of a day."""
READER, PASSWORD = "benchmark_reader", "reads-only/51ac"
WHOLE = ("companies", "staff", "customers", "services", "appointments", "appointment_phases")


@dataclass(frozen=True, slots=True)
class Table:
    """One schema: so many appointments, at so many a day."""

    schema: str
    appointments: int
    a_day: int

    @property
    def watermarks(self) -> list[Watermark]:
        """What the last check of each of the last evenings kept."""
        evenings = [AS_OF - timedelta(days=days) for days in range(1, 11)]
        return [Watermark(at, self.highest(at), 0) for at in evenings]

    def highest(self, at: datetime) -> int:
        """The highest id of the appointments that were created before an instant."""
        return self.appointments - round((AS_OF - at).total_seconds()) * self.a_day // 86_400


def tables(size: Size) -> Sequence[Table]:
    """Smallest first; the last is what everything but the growth is measured on."""
    sizes, a_day = {
        Size.SMALL: ((20_000, 40_000, 80_000), 685),
        Size.FULL: ((1_000_000, 3_000_000, 10_000_000), 13_700),
    }[size]
    return [Table(f"booking_{n}", n, a_day) for n in sizes]


class Server(MariaDB):
    """A MariaDB that has the memory of a database server."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.work / f"database-{bench.size}")
        self._pool = "6G" if bench.size is Size.FULL else "512M"

    def connect(self, schema: str) -> Any:
        """A connection of a user that may only read."""
        import MySQLdb

        return MySQLdb.connect(
            host="127.0.0.1",
            port=self.port,
            user=READER,
            password=PASSWORD,
            database=schema,
            charset="utf8mb4",
        )

    def _options(self, data: Path) -> list[str]:
        return [
            *super()._options(data),
            f"--innodb-buffer-pool-size={self._pool}",
            "--innodb-log-file-size=1G",
            # For building indexes; nothing that a reader feels.
            "--innodb-sort-buffer-size=64M",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
            "--innodb-buffer-pool-load-at-startup=OFF",
            "--default-time-zone=+00:00",
        ]


class Counting:
    """A DB-API connection that knows in the end how many rows the server read for it.

    :param before: called before each statement.
    """

    def __init__(self, connection: Any, before: Callable[[], None] = lambda: None) -> None:
        self.rows_read = 0
        self._connection, self._before = connection, before

    def cursor(self) -> Any:
        """A cursor of the connection."""
        self._before()
        return self._connection.cursor()

    def rollback(self) -> None:
        """End the transaction."""
        self._connection.rollback()

    def close(self) -> None:
        """Take the count, and close the connection."""
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
            # The deleted, retry and sorted ones are counted in others already.
            kinds = ("key", "next", "prev", "rnd", "rnd_next", "first", "last")
            self.rows_read = sum(
                int(n) for name, n in cursor.fetchall() if name.lower().removeprefix("handler_read_") in kinds
            )
        self._connection.close()


def fill(server: Server, table: Table, bench: Bench) -> None:
    """Make a schema unless it is there already; one that was not finished is made anew."""
    with contextlib.closing(server.root()) as connection, connection.cursor() as cursor:
        # Granted last: whoever may read finds everything there.
        if cursor.execute("SELECT 1 FROM mysql.db WHERE db = %s", [table.schema]):
            return
        bench.say(f"{table.appointments:,} appointments are made")
        cursor.execute(f"DROP DATABASE IF EXISTS {table.schema}")
        cursor.execute(f"CREATE DATABASE {table.schema}")
        cursor.execute(f"USE {table.schema}")
        # Into an empty table and unchecked, the server sorts first and then builds each index once.
        cursor.execute("SET unique_checks = 0, foreign_key_checks = 0, join_cache_level = 0")
        cursor.execute(
            "SET @appointments = %s, @a_day = %s, @as_of = TIMESTAMP(%s)",
            [table.appointments, table.a_day, AS_OF.replace(tzinfo=None)],
        )
        for path in (SCHEMA, FILL):
            for statement in statements(path):
                cursor.execute(statement)
        cursor.execute(f"ANALYZE TABLE {', '.join(WHOLE)}")
        # Written out now, so that the server's end is not cut short by its patience.
        cursor.execute(f"FLUSH TABLES {', '.join(WHOLE)} FOR EXPORT")
        cursor.execute("UNLOCK TABLES")
        cursor.execute(f"GRANT SELECT ON {table.schema}.* TO {READER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")


def statements(path: Path) -> list[str]:
    """The statements of an SQL file of ours."""
    return [s for s in path.read_text(encoding="utf-8").split(";\n") if s.strip()]
