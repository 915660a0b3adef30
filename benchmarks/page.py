# SPDX-License-Identifier: MIT
"""The status page on a year of checks: how long the server takes for a page, and how long the page is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import MySQLdb

from benchmarks.figures import Bench, Figure, Size, Target
from benchmarks.page_data import History, fill, newest
from benchmarks.timing import by_turns, middle
from demo.services import MariaDB
from processing_time import settings as settings_module
from processing_time.page import charts, companies, openmetrics, overview, periods
from processing_time.page.rendering import render
from processing_time.settings import Settings
from processing_time.store import Store
from processing_time.store_page import PageStore
from processing_time.store_reports import Period
from processing_time.store_session import SCHEMA

PART = "page"
HISTORY = {Size.SMALL: (10, 10), Size.FULL: (365, 100)}
"""Days and companies."""
RUNS = {Size.SMALL: 3, Size.FULL: 15}
QUICK = Target(0.2, "at most")
TITLES = {"first": "overview at the first visit after a check"}
SHORT = Target(300_000, "at most")


def measure(bench: Bench) -> list[Figure]:
    """Fill a store, and ask for each page by turns, with the drawings kept and without."""
    settings = settings_module.load()
    days, count = HISTORY[bench.size]
    history = History(newest(settings, date(2026, 6, 10)), days, count)
    with MariaDB(bench.work / PART) as server:

        def connect() -> Any:
            return MySQLdb.connect(unix_socket=server.socket, user="root", database=SCHEMA, charset="utf8mb4")

        bench.say(f"a store with checks of {days} days and {count} companies")
        rows = _filled(server, connect, history, settings)
        pages = _pages(connect, settings, history)
        texts = {name: page() for name, page in pages.items()}
        bench.say(f"{len(pages)} pages, {rows:,} measurements behind them")
        warm = by_turns(RUNS[bench.size], pages)
        after_check = _forgetting(connect, settings, history)
        first = by_turns(RUNS[bench.size], {"first": pages["overview"]}, after_check)
    of = f"{days} days, {count} companies"
    return [
        *(
            Figure(
                PART,
                f"{name}_seconds",
                f"server time of {TITLES.get(name, name)}, {of}",
                s.value,
                "s",
                s.runs,
                QUICK,
            )
            for name, s in _middles(warm | first)
        ),
        *(
            Figure(PART, f"{name}_bytes", f"size of {name}, {of}", len(text.encode()), "bytes", target=SHORT)
            for name, text in texts.items()
        ),
    ]


def _middles(runs: dict[str, tuple[float, ...]]) -> Iterator[tuple[str, Figure]]:
    for name, seconds in runs.items():
        yield name, middle(PART, name, name, "s", seconds)


def _filled(server: MariaDB, connect: Callable[[], Any], history: History, settings: Settings) -> int:
    """A store with that history; it is kept for the next run."""
    with contextlib.closing(server.root()) as root, contextlib.closing(root.cursor()) as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {SCHEMA} CHARACTER SET utf8mb4")
    with Store(connect) as store:
        store.sightings()
    with contextlib.closing(connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("SELECT COUNT(*) FROM checks")
        if not cursor.fetchone()[0]:
            fill(connection, history, settings)
            cursor.execute("ANALYZE TABLE checks, samples, alerts, notifications, weekly, monthly")
            cursor.fetchall()
        cursor.execute("SELECT COUNT(*) FROM samples")
        return int(cursor.fetchone()[0])


def _pages(connect: Callable[[], Any], settings: Settings, history: History) -> dict[str, Callable[[], str]]:
    """Each page from the opening of the connection to its last byte, as the server does it for a request."""
    present = history.newest + timedelta(minutes=20)

    def with_store(page: Callable[[PageStore], str]) -> Callable[[], str]:
        def ask() -> str:
            with PageStore(connect) as store:
                return page(store)

        return ask

    chosen: dict[Period, date | None] = {Period.WEEKLY: None, Period.MONTHLY: None}
    return {
        "overview": with_store(lambda s: render("overview.html", page=overview.read(s, settings, present))),
        "companies": with_store(
            lambda s: render("companies.html", page=companies.read(s, settings, present))
        ),
        "reports": with_store(lambda s: render("reports.html", reports=periods.read(s, settings, chosen))),
        "metrics": with_store(lambda s: openmetrics.expose(s, settings, present).decode()),
    }


def _forgetting(connect: Callable[[], Any], settings: Settings, history: History) -> Callable[[], None]:
    """Makes of the drawings that are kept what a check leaves of them: the months, and no line of seven days."""
    with PageStore(connect) as store:
        metrics = overview.read(store, settings, history.newest).metrics

    def forget() -> None:
        charts.line.cache_clear()
        for metric in metrics:
            charts.line(metric.months)

    return forget
