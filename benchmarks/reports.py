# SPDX-License-Identifier: MIT
"""What rolling up a month costs: half a million appointments of a hundred companies, beside a tenth of them.

``python -m benchmarks.reports PORT SCHEMA`` rolls up in a process of its own and prints what that took, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import memory
from benchmarks.database_data import PASSWORD, READER, Server, Table, fill, statements
from benchmarks.figures import Bench, Figure, Size, Target
from processing_time import settings as settings_module
from processing_time.reports import monthly_rows
from processing_time.reports.monthly_period import window
from processing_time.sources.feature_flags import FeatureFlags

PART = "reports"
MONTH = date(2026, 2, 1)
"""The last whole one before the data ends."""
COMPANIES = Path(__file__).parent / "data" / "companies.sql"
LARGEST_DAY = {Size.SMALL: 900, Size.FULL: 18_000}
"""Appointments a day: 504,000 in a February."""
DAYS, RUNS = 36, 3


def measure(bench: Bench) -> list[Figure]:
    """Seconds, memory and rows of a month's rollup from the application's rows, at two sizes."""
    figures: list[Figure] = []
    largest = LARGEST_DAY[bench.size]
    with Server(bench) as server:
        for a_day in (largest // 10, largest):
            table = Table(f"month_{a_day}", a_day * DAYS, a_day)
            _fill(server, table, bench)
            bench.say(f"a month of {a_day * 28:,} appointments is rolled up")
            figures += _figures(server, table)
    few, many = (figure.value for figure in figures if figure.unit == "MiB")
    title = "memory that ten times the appointments take on top"
    return [*figures, Figure(PART, "rollup_growth", title, many - few, "MiB", target=Target(16, "at most"))]


def main(port: str, schema: str) -> None:
    """Roll up here: prints seconds, MiB at the most, how many companies have figures, and the appointments counted."""
    import MySQLdb

    shipped = settings_module.load({"application": {"sync_status_column": "calcom_sync_status"}})
    period, limit = window(MONTH, shipped.zone), shipped.schedule.statement_timeout
    connect = partial(
        MySQLdb.connect,
        host="127.0.0.1",
        port=int(port),
        user=READER,
        password=PASSWORD,
        database=schema,
        charset="utf8mb4",
    )
    before, start = memory.begin(), time.perf_counter()
    rows = monthly_rows.read(connect, shipped, period, FeatureFlags(configured=False), limit)
    seconds, mib = time.perf_counter() - start, memory.peak(before)
    if lost := [s.metric for s in rows.samples if s.loss]:
        raise ValueError(f"not measured: {', '.join(lost)}")
    rolled = [s for s in rows.samples if s.metric == "phase_creation_success_rate"]
    created = next(s.denominator for s in rolled if s.company_id == 0)
    print(json.dumps({"seconds": seconds, "mib": mib, "companies": len(rolled) - 1, "created": created}))


def _fill(server: Server, table: Table, bench: Bench) -> None:
    fill(server, table, bench)
    with contextlib.closing(server.root(table.schema)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM companies")
        if cursor.fetchone() == (50,):
            for statement in statements(COMPANIES):
                cursor.execute(statement)
            connection.commit()


def _figures(server: Server, table: Table) -> list[Figure]:
    runs = [_rolled_up(server, table) for _ in range(RUNS)]
    count = table.a_day * 28
    of = f"for a month of {count:,} appointments of {runs[0]['companies']} companies"
    return [
        Figure(
            PART,
            f"rollup_{count}",
            f"rolling up {of}",
            *_of(runs, "seconds"),
            note=f"{runs[0]['created']:,.0f} with processing time",
        ),
        Figure(PART, f"rollup_memory_{count}", f"memory {of}", *_of(runs, "mib")),
    ]


def _of(runs: list[dict[str, Any]], what: str) -> tuple[float, str, tuple[float, ...]]:
    values = tuple(run[what] for run in runs)
    return median(values), {"seconds": "s", "mib": "MiB"}[what], values


def _rolled_up(server: Server, table: Table) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.reports", str(server.port), table.schema]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ})
    said: dict[str, Any] = json.loads(done.stdout)
    return said


if __name__ == "__main__":
    main(*sys.argv[1:])
