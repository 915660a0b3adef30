# SPDX-License-Identifier: MIT
"""Whether a check slows the application down: transactions that book appointments, with and without a check beside them.

`python -m benchmarks.database_writer SOCKET SCHEMA SECONDS EVERY` is the writer, a process of its own: an appointment and
its three phases in one transaction, as the application makes them, and flushed to disk as a default server does.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import mean, median
from typing import Any

from benchmarks.database_data import READER, Counting, Server, Table
from benchmarks.database_monitor import Monitor
from benchmarks.figures import Bench, Figure, Size, Target

AN_HOUR = 3600
LOADS = {"normal": 100, "peak": 500, "cold": 500, "full_speed": 0}
"""Appointments an hour, as in the guide's load scenarios; ``cold``: on a server that was just started, with nothing in
memory; ``full_speed`` waits for nothing.
"""


def measure(monitor: Monitor, bench: Bench) -> list[Figure]:
    """What one check does to a writer, and what it locks.

    The hour of a scenario is pressed into some seconds. Half of these hours have a check in their middle, in turns.
    """
    server, table = monitor.server, monitor.table
    figures = [*_locks(monitor)]
    try:
        for load, an_hour in LOADS.items():
            bench.say(f"a writer, {load}")
            if load == "cold":
                server.stop()
                server.start()
            _told(server, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
            figures += _beside(monitor, load, an_hour, bench)
    finally:
        _told(server, f"DELETE FROM {table.schema}.appointments WHERE id > {table.appointments}")
    return figures


def _told(server: Server, statement: str) -> list[Any]:
    with contextlib.closing(server.root()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def _beside(monitor: Monitor, load: str, an_hour: int, bench: Bench) -> Iterator[Figure]:
    server, table = monitor.server, monitor.table
    seconds, turns = (10.0, 1 if load == "cold" else 4) if bench.size is Size.FULL else (1.0, 1)
    with_check: list[float] = []
    without: list[float] = []
    checks = []
    for _ in range(turns):
        without += [took for _, took in _written(server, table, seconds, an_hour)]
        writer = _start(server, table, seconds, an_hour)
        time.sleep(seconds / 3)
        begun = time.monotonic()
        monitor.check()
        ended = time.monotonic()
        checks.append(ended - begun)
        # By their beginning: what lasts long would be caught more often by its end.
        with_check += [took for at, took in _read(writer) if begun <= at < ended]
    beside = 100 * (mean(with_check) / mean(without) - 1) if with_check else 0.0
    words = f"{an_hour} appointments an hour" if an_hour else "a writer that never waits"
    words += ", a server just started" if load == "cold" else ""
    own = tuple(1000 * each for each in checks)
    yield Figure(
        "database", f"writer_{load}_check", f"{words}: a check beside it", median(own), "ms", runs=own
    )
    counted = f"{len(with_check)} transactions beside a check, {len(without)} without"
    yield Figure(
        "database",
        f"writer_{load}_beside",
        f"{words}: a transaction takes longer while a check runs",
        beside,
        "%",
        note=counted,
    )
    yield Figure(
        "database",
        f"writer_{load}",
        f"{words}: the writer is slowed by a check an hour",
        beside * median(checks) / AN_HOUR,
        "%",
        target=Target(2, "at most"),
    )


def _written(server: Server, table: Table, seconds: float, an_hour: int) -> list[tuple[float, float]]:
    return _read(_start(server, table, seconds, an_hour))


def _start(server: Server, table: Table, seconds: float, an_hour: int) -> subprocess.Popen[str]:
    every = seconds / an_hour if an_hour else 0.0
    command = [sys.executable, "-m", __name__, server.socket, table.schema, str(seconds), str(every)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()  # It has begun.
    return writer


def _read(writer: subprocess.Popen[str]) -> list[tuple[float, float]]:
    told, _ = writer.communicate()
    if writer.returncode != 0:
        raise ValueError(f"the writer of the benchmark ended with status {writer.returncode}")
    return [(at, took) for at, took in json.loads(told)]


def _locks(monitor: Monitor) -> Iterator[Figure]:
    """What the server says about the check's transaction before each of its statements."""
    seen: list[Any] = []

    def look() -> None:
        # The server renews what it shows ten times a second.
        time.sleep(0.11)
        seen.extend(
            _told(
                monitor.server,
                "SELECT t.trx_rows_locked + t.trx_tables_locked + 1 - t.trx_is_read_only"
                " FROM information_schema.innodb_trx AS t"
                " INNER JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id"
                f" WHERE p.user = '{READER}'",
            )
        )

    monitor.check(connect=lambda: Counting(monitor.connect(), look))
    yield Figure(
        "database",
        "locks",
        "rows and tables locked by a check",
        sum(locked for (locked,) in seen),
        "rows",
        target=Target(0, "at most"),
        note=f"asked before each statement, its transaction seen {len(seen)} times, read-only",
    )


def write(socket: str, schema: str, seconds: float, every: float) -> list[tuple[float, float]]:
    """Book appointments for so long; when each transaction began (monotonic) and how long it took, in seconds.

    :param every: seconds from one booking to the next; 0 for no pause.
    """
    import MySQLdb

    took = []
    with contextlib.closing(MySQLdb.connect(unix_socket=socket, user="root", database=schema)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT service_id, staff_id, company_id FROM appointments ORDER BY id DESC LIMIT 1")
        like = cursor.fetchone()
        connection.commit()
        sys.stdout.write("\n")
        sys.stdout.flush()
        begun = due = time.monotonic()
        while due - begun < seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            started = time.monotonic()
            _book(connection, cursor, like)
            took.append((started, time.monotonic() - started))
            due = due + every if every else time.monotonic()
    return took


def _book(connection: Any, cursor: Any, like: Sequence[Any]) -> None:
    cursor.execute(
        "INSERT INTO appointments (service_id, staff_id, company_id, starts_at, ends_at, created_at, updated_at)"
        " VALUES (%s, %s, %s, NOW() + INTERVAL 3 DAY, NOW() + INTERVAL 3 DAY + INTERVAL 1 HOUR, NOW(), NOW())",
        like,
    )
    phases = [
        (cursor.lastrowid, kind, at, minutes, kind != "processing")
        for kind, at, minutes in (("initial", 0, 15), ("processing", 15, 30), ("final", 45, 15))
    ]
    for phase in phases:
        cursor.execute(
            "INSERT INTO appointment_phases"
            " (appointment_id, phase_type, start_offset_minutes, duration_minutes, staff_required, start_time, created_at)"
            " VALUES (%s, %s, %s, %s, %s, NOW() + INTERVAL 3 DAY, NOW())",
            phase,
        )
    connection.commit()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(write(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))))
