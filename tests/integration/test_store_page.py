# SPDX-License-Identifier: MIT
"""What a page costs: rows that the server walks and bytes that a person waits for, on a short and on a long history."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import pytest

from benchmarks.page_data import History, fill, newest
from processing_time import store_page
from processing_time.page import companies, openmetrics, overview, periods
from processing_time.page.rendering import render
from processing_time.settings import load
from processing_time.store import Store
from processing_time.store_page import PageStore
from processing_time.store_reports import Period
from tests.integration.own_schema import SCHEMA, fresh
from tests.integration.page_http import served

AT = newest(load(), date(2026, 6, 10))
PRESENT = AT + timedelta(minutes=20)
COMPANIES = 20
LONGEST = 300_000

PAGES: dict[str, Callable[[PageStore], str]] = {
    "overview": lambda store: render("overview.html", page=overview.read(store, load(), PRESENT)),
    "companies": lambda store: render("companies.html", page=companies.read(store, load(), PRESENT)),
    "reports": lambda store: render(
        "reports.html", reports=periods.read(store, load(), {Period.WEEKLY: None, Period.MONTHLY: None})
    ),
    "metrics": lambda store: openmetrics.expose(store, load(), PRESENT).decode(),
}


class Counted:
    """A connection that counts the statements it is given, and the rows that the server walked for them."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.connection = connect()
        self.statements = 0

    def cursor(self) -> Any:
        outer, cursor = self, self.connection.cursor()
        execute = cursor.execute

        def counted(sql: str, *parameters: Any) -> Any:
            outer.statements += sql.lstrip().startswith("SELECT")
            return execute(sql, *parameters)

        cursor.execute = counted
        return cursor

    def walked(self) -> int:
        """Rows so far, by every way that the server has of reading one."""
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
            return sum(int(value) for name, value in cursor.fetchall() if name != "Handler_read_retry")

    def close(self) -> None:
        pass


def cost(mariadb: Any, days: int) -> dict[str, tuple[int, int, str]]:
    """Statements, rows and text of each page on a history of so many days."""
    connect = fresh(mariadb)
    with Store(connect) as store:
        store.sightings()
    with closing(mariadb.root(SCHEMA)) as connection:
        fill(connection, History(AT, days, COMPANIES), load())
        with closing(connection.cursor()) as cursor:
            cursor.execute("ANALYZE TABLE checks, samples, alerts, notifications, weekly, monthly")
    found = {}
    for name, page in PAGES.items():
        counted = Counted(connect)
        with PageStore(lambda counted=counted: counted) as store:
            text = page(store)
        found[name] = (counted.statements, counted.walked(), text)
        counted.connection.close()
    return found


@pytest.fixture(scope="module")
def costs(mariadb: Any) -> tuple[dict[str, tuple[int, int, str]], dict[str, tuple[int, int, str]]]:
    return cost(mariadb, 10), cost(mariadb, 40)


@pytest.mark.parametrize("name", PAGES)
def test_a_long_history_costs_no_more_than_a_short_one(costs: Any, name: str) -> None:
    (_, short, _), (_, long, _) = costs[0][name], costs[1][name]
    # Thirty alerts more are marked in the lines; each is an entry of the index and its row.
    assert long <= short + 3 * 30
    assert long < {"overview": 2_500, "companies": 500, "reports": 700, "metrics": 60}[name]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_few_questions_and_is_short(costs: Any, name: str) -> None:
    statements, _, text = costs[1][name]
    assert statements <= 14
    assert len(text.encode()) < LONGEST
    assert len(gzip.compress(text.encode())) > 500, "there is something on it"


def test_prometheus_is_told_of_open_alerts_that_no_page_lists(
    mariadb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_page, "OPEN_ALERTS", 2)
    connect = fresh(mariadb)
    with Store(connect) as store:
        store.sightings()
    open_ = {"critical": 2, "high": 3, "info": 1}
    with closing(mariadb.root(SCHEMA)) as connection, closing(connection.cursor()) as cursor:
        for number, severity in enumerate(s for s, count in open_.items() for _ in range(count)):
            cursor.execute(
                "INSERT INTO alerts (rule, company_id, severity, level, state, opened_at, last_seen_at, last_counted_at,"
                " last_told_at, bad_checks, good_checks, critical_checks, subjects, acknowledgers)"
                " VALUES ('stale_phases', %s, %s, 1, 'firing', %s, %s, %s, %s, 1, 0, 0, '[]', '[]')",
                (number, severity, *[AT.replace(tzinfo=None)] * 4),
            )
    with PageStore(connect) as store:
        newest = store.newest(["stale_phases"])
        text = openmetrics.expose(store, load(), PRESENT).decode()
    assert ([str(a.severity) for a in newest.open_alerts], newest.open_count) == (["critical"] * 2, 6)
    for severity, count in {**open_, "medium": 0}.items():
        assert f'processing_time_alerts_open{{severity="{severity}"}} {float(count)}\n' in text


@pytest.mark.parametrize("day", ["2026-06-01", "9999-12-31", "0001-01-01", "yesterday", ""])
def test_a_report_of_any_day_can_be_asked_for(mariadb: Any, day: str) -> None:
    connect = fresh(mariadb)
    client = served(lambda _: load(), tuple, connect=lambda _: connect())
    assert client.get(f"reports?weekly={day}&monthly={day}").status_code == 200


def test_the_page_writes_nothing(mariadb: Any) -> None:
    connect = fresh(mariadb)
    with Store(connect) as store:
        store.sightings()
    with closing(mariadb.root(SCHEMA)) as connection:
        fill(connection, History(AT, 8, 2), load())

    def checksums() -> Any:
        with closing(mariadb.root(SCHEMA)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                "CHECKSUM TABLE checks, samples, alerts, notifications, weekly, monthly, sightings"
            )
            return cursor.fetchall()

    before = checksums()
    for page in PAGES.values():
        with PageStore(connect) as store:
            page(store)
    assert checksums() == before
