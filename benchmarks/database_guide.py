# SPDX-License-Identifier: MIT
"""The guide's queries as they are written, at the benchmark's date, and whether they give what the monitor gives."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.database_data import AS_OF, Counting, Server, Table, statements
from processing_time.model import ALL_COMPANIES, Collected, Sample

GUIDE = Path(__file__).parent / "guide"
METRICS = (
    "phase_creation_success_rate",
    "calcom_sync_success_rate",
    "phase_distribution",
    "overlapping_bookings",
    "orphaned_appointments",
    "stale_phases",
)
OFFSET = "+01:00"
"""Berlin's in that week."""
_TOO_SLOW = 1969

Rows = Sequence[tuple[Any, ...]]
Adapt = Callable[[str], str]


def ask(
    server: Server, table: Table, key: str, limit: float, adapt: Adapt = str
) -> tuple[float, Rows | None]:
    """The seconds that the guide's query takes, and its rows; None when it was cut off after ``limit`` seconds.

    The server is told which day it is, so that ``CURDATE()`` stays as it is written.
    """
    import MySQLdb

    with contextlib.closing(server.connect(table.schema)) as connection, connection.cursor() as cursor:
        text = _prepared(cursor, key, limit)
        begun = time.perf_counter()
        try:
            cursor.execute(adapt(text))
            rows = cursor.fetchall()
        except MySQLdb.OperationalError as error:
            if error.args[0] != _TOO_SLOW:
                raise
            return time.perf_counter() - begun, None
        return time.perf_counter() - begun, rows


def rows_read(server: Server, table: Table) -> int:
    """How many rows the server reads for the guide's queries, the one about overlaps left out."""
    read = 0
    for key in METRICS:
        if key != "overlapping_bookings":
            counting = Counting(server.connect(table.schema))
            with contextlib.closing(counting), counting.cursor() as cursor:
                cursor.execute(_prepared(cursor, key, 0))
                cursor.fetchall()
            read += counting.rows_read
    return read


def _prepared(cursor: Any, key: str, limit: float) -> str:
    cursor.execute("SET time_zone = %s, timestamp = %s", [OFFSET, AS_OF.timestamp()])
    cursor.execute("SET max_statement_time = %s", [limit])
    (text,) = statements(GUIDE / f"{key}.sql")
    return text


def deployed(text: str) -> str:
    """The sync query with the deployed application's names."""
    return text.replace("sync_status", "calcom_sync_status").replace("'error'", "'failed'")


def once(text: str) -> str:
    """The overlap query, with each booking counted once."""
    return text.replace("COUNT(*) as overlapping", "COUNT(DISTINCT a2.id) as overlapping")


def differences(server: Server, table: Table, collected: Collected, limit: float) -> list[str]:
    """Where the guide's answers differ from the monitor's; empty when nowhere.

    :param collected: measured as the guide counts: deleted rows too, no grace, orphans of today.
    """
    ours = {s.metric: s for s in collected.samples if s.company_id == ALL_COMPANIES}
    found = []
    for key, (adapt, guides, own) in _COMPARED.items():
        _, rows = ask(server, table, key, limit, adapt)
        if rows is not None and guides(rows) != own(ours[key]):
            found.append(f"{key}: the guide {guides(rows)}, the monitor {own(ours[key])}")
    return found


def _rate(rows: Rows) -> tuple[Any, ...]:
    total, good, *_, percent = rows[0]
    return int(good), int(total), float(percent)


def _own_rate(sample: Sample) -> tuple[Any, ...]:
    return sample.numerator, sample.denominator, round(sample.value or 0, 2)


def _sync(rows: Rows) -> tuple[Any, ...]:
    total, good, errors, percent = rows[0]
    return int(good), int(total), int(errors), float(percent)


def _own_sync(sample: Sample) -> tuple[Any, ...]:
    return sample.numerator, sample.denominator, sample.detail["errors"], round(sample.value or 0, 2)


# Its share is of all phases ever, so only the counts can be right; stale phases have no window there.
_COMPARED: Mapping[str, tuple[Adapt, Callable[[Rows], Any], Callable[[Sample], Any]]] = {
    "phase_creation_success_rate": (str, _rate, _own_rate),
    "calcom_sync_success_rate": (deployed, _sync, _own_sync),
    "phase_distribution": (
        str,
        lambda rows: {str(type_): int(count) for type_, count, _ in rows},
        lambda sample: sample.detail["counts"],
    ),
    "overlapping_bookings": (
        once,
        lambda rows: sum(int(row[1]) for row in rows),
        lambda sample: sample.value,
    ),
    "orphaned_appointments": (str, len, lambda sample: sample.value),
}
