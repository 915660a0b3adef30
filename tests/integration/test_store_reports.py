# SPDX-License-Identifier: MIT
"""Weeks and months in the store: replaced, told anew what came before, in any order with the same result."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from processing_time.outbox import Notification
from processing_time.store_reports import History, Period, ReportStore, Rolled, Trend
from processing_time.store_session import fetch
from tests.integration.own_schema import fresh

AT = datetime(2026, 7, 20, 6, 30, tzinfo=UTC)
MONTHS = [date(2026, month, 1) for month in (10, 11, 12)] + [date(2027, 1, 1)]
WEEKS = [date(2026, 12, 21), date(2026, 12, 28), date(2027, 1, 4)]


@pytest.fixture
def store(mariadb: Any) -> Iterator[ReportStore]:
    with ReportStore(fresh(mariadb)) as made:
        yield made


def row(start: date, value: float | None, company: int = 0, **more: Any) -> Rolled:
    return Rolled(start, "rate", company, value, value, 100, 1, **more)


def upwards(history: History) -> Trend:
    """Up when each row is above the one before; it sees as many as it is given."""
    values = [r.value for r in history if r.value is not None]
    if len(values) < 2:
        return history[-1].trend
    return Trend.UP if values == sorted(values) else Trend.DOWN


def save(
    store: ReportStore, period: Period, start: date, rows: list[Rolled], reach: int = 1, **more: Any
) -> None:
    store.save(period, start, rows, upwards, reach=reach, at=AT, **more)


@pytest.mark.parametrize(("period", "starts"), [(Period.WEEKLY, WEEKS), (Period.MONTHLY, MONTHS)])
def test_the_order_of_writing_does_not_matter(store: ReportStore, period: Period, starts: list[date]) -> None:
    results = []
    for order in itertools.permutations(starts):
        store.session.run(lambda cursor: cursor.execute(f"DELETE FROM {period}"))
        for start in (*order, order[0]):
            save(store, period, start, [row(start, float(starts.index(start)))])
        results.append(store.read(period, starts[0], starts[-1]))
    assert all(result == results[0] for result in results)
    assert [r.previous_value for r in results[0]] == [None, *map(float, range(len(starts) - 1))]
    assert [r.trend for r in results[0]] == [Trend.TOO_FEW, *[Trend.UP] * (len(starts) - 1)]


def test_a_corrected_period_is_told_to_the_next_and_to_no_other(store: ReportStore) -> None:
    for n, start in enumerate(WEEKS):
        save(store, Period.WEEKLY, start, [row(start, float(n))])
    save(store, Period.WEEKLY, WEEKS[0], [row(WEEKS[0], 9.0)])
    _, second, third = store.read(Period.WEEKLY, WEEKS[0], WEEKS[-1])
    assert (second.previous_value, second.trend) == (9.0, Trend.DOWN)
    assert (third.previous_value, third.trend) == (1.0, Trend.UP)


def test_a_longer_reach_tells_later_periods_too(store: ReportStore) -> None:
    for n, start in enumerate(MONTHS):
        save(store, Period.MONTHLY, start, [row(start, float(n))], reach=3)
    save(store, Period.MONTHLY, MONTHS[0], [row(MONTHS[0], 9.0)], reach=3)
    trends = [r.trend for r in store.read(Period.MONTHLY, MONTHS[0], MONTHS[-1])]
    assert trends == [Trend.TOO_FEW, Trend.DOWN, Trend.DOWN, Trend.DOWN]


def test_what_a_repetition_no_longer_has_is_gone(store: ReportStore) -> None:
    start = WEEKS[0]
    save(store, Period.WEEKLY, start, [row(start, 1.0), row(start, 2.0, company=5)])
    save(store, Period.WEEKLY, start, [row(start, 1.0)])
    assert [r.company_id for r in store.read(Period.WEEKLY, start, start)] == [0]


def test_what_is_gone_from_a_period_is_gone_from_what_the_next_says(store: ReportStore) -> None:
    for n, start in enumerate(WEEKS[:2]):
        save(store, Period.WEEKLY, start, [row(start, float(n))])
    save(store, Period.WEEKLY, WEEKS[0], [])
    (kept,) = store.read(Period.WEEKLY, WEEKS[0], WEEKS[-1])
    assert kept.previous_value is None


def test_one_company_replaces_only_its_own_rows(store: ReportStore) -> None:
    start = WEEKS[0]
    save(store, Period.WEEKLY, start, [row(start, 1.0), row(start, 2.0, company=5)])
    save(store, Period.WEEKLY, start, [row(start, 3.0, company=5)], company_id=5)
    assert [(r.company_id, r.value) for r in store.read(Period.WEEKLY, start, start)] == [(0, 1.0), (5, 3.0)]


def test_a_predecessor_that_is_not_kept_is_as_the_row_says(store: ReportStore) -> None:
    start = WEEKS[1]
    save(store, Period.WEEKLY, start, [row(start, 1.0, previous_value=7.0, trend=Trend.DOWN)])
    (kept,) = store.read(Period.WEEKLY, start, start)
    assert (kept.previous_value, kept.trend) == (7.0, Trend.DOWN)
    save(store, Period.WEEKLY, WEEKS[0], [row(WEEKS[0], 0.5)])
    (kept,) = store.read(Period.WEEKLY, start, start)
    assert (kept.previous_value, kept.trend) == (0.5, Trend.UP)


def test_rows_and_messages_are_committed_together(store: ReportStore) -> None:
    start = WEEKS[0]
    message = Notification("report", "weekly/x", "reports", {"text": "t", "blocks": []})
    save(store, Period.WEEKLY, start, [row(start, 1.0)], notifications=[message])
    assert [o.dedupe_key for o in store.outbox.due(AT)] == ["weekly/x"]

    def broken(history: History) -> Trend:
        raise RuntimeError("no trend")

    with pytest.raises(RuntimeError):
        store.save(
            Period.WEEKLY,
            start,
            [row(start, 2.0)],
            broken,
            reach=1,
            at=AT,
            notifications=[Notification("report", "weekly/y", "reports", {"text": "t", "blocks": []})],
        )
    assert [r.value for r in store.read(Period.WEEKLY, start, start)] == [1.0]
    assert [o.dedupe_key for o in store.outbox.due(AT)] == ["weekly/x"]


def test_the_columns_are_those_that_others_rely_on(store: ReportStore) -> None:
    save(store, Period.WEEKLY, WEEKS[0], [row(WEEKS[0], 1.0)])
    (found,) = store.session.run(lambda cursor: fetch(cursor, "SELECT * FROM weekly"))
    assert found == {
        "period_start": WEEKS[0],
        "metric": "rate",
        "company_id": 0,
        "value": 1.0,
        "numerator": 1.0,
        "denominator": 100.0,
        "samples": 1,
        "previous_value": None,
        "trend": "too_few",
    }
