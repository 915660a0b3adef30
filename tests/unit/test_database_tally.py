# SPDX-License-Identifier: MIT
"""Rows of a metric's query to samples: sums, companies, detail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from processing_time.model import Window
from processing_time.settings import Metric
from processing_time.sources import tally
from processing_time.sources.snapshot import QueryFault

END = datetime(2026, 3, 29, 10, tzinfo=UTC)
WINDOW = Window(END - timedelta(hours=11), END)
COLUMNS = ["company_id", "numerator", "denominator"]


def metric(kind: str) -> Metric:
    return Metric(
        title="t",
        action="a",
        source="mysql",
        kind=kind,
        window="today",
        better="higher",
        unit="%",  # type: ignore[arg-type]
    )


def samples(kind: str, columns: list[str], rows: list[tuple[Any, ...]], **detail: Any) -> dict[int, Any]:
    found = tally.samples("key", metric(kind), WINDOW, columns, rows, detail)
    assert all((s.metric, s.window) == ("key", WINDOW) for s in found)
    return {s.company_id: s for s in found}


@pytest.mark.parametrize(("kind", "value"), [("rate", 100 * 7 / 9), ("count", 7), ("mean", 7 / 9)])
def test_companies_add_up_to_all(kind: str, value: float) -> None:
    rows = [(2, Decimal(3), 4), (1, Decimal(1), 1), (2, Decimal(2), 2), (None, 1, 2)]
    found = samples(kind, COLUMNS, rows)
    assert list(found) == [0, 1, 2]
    assert (found[0].value, found[0].numerator, found[0].denominator) == (value, 7, 9)
    assert (found[2].numerator, found[2].denominator) == (5, 6)
    assert all(type(s.numerator) is int for s in found.values())


def test_a_company_without_population_has_no_row_and_all_always_have() -> None:
    found = samples("rate", COLUMNS, [(1, 0, 0), (0, 1, 2)])
    assert list(found) == [0]
    assert found[0].value == 50
    assert samples("rate", COLUMNS, [])[0].value is None
    assert samples("count", COLUMNS, [])[0].value == 0
    assert samples("count", COLUMNS, [])[0].denominator == 0


def test_a_count_without_a_population() -> None:
    found = samples("count", COLUMNS, [(1, 5, None), (2, None, None)])
    assert (found[0].value, found[0].denominator) == (5, None)
    assert (found[1].value, found[2].value) == (5, 0)


def test_further_columns_go_into_the_detail() -> None:
    columns = [*COLUMNS, "errors", "by_status"]
    found = samples(
        "rate",
        columns,
        [(1, 3, 3, 0, "synced"), (1, 0, 2, Decimal(2), None), (2, 1, 1, 0, "synced")],
        way="x",
    )
    assert found[0].detail == {"errors": 2, "by_status": {"synced": 4, "NULL": 2}, "way": "x"}
    assert found[2].detail == {"errors": 0, "by_status": {"synced": 1}, "way": "x"}
    assert samples("rate", columns, [])[0].detail == {"errors": 0, "by_status": {}}


def test_fractions_stay_fractions() -> None:
    assert samples("mean", COLUMNS, [(1, Decimal("2.5"), 2)])[0].value == 1.25


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column_is_named(missing: str) -> None:
    with pytest.raises(QueryFault, match=f"include/sql/metrics/key.sql gives no column {missing}"):
        samples("rate", [c for c in COLUMNS if c != missing], [])
