# SPDX-License-Identifier: MIT
"""The trend over some months, against an enumeration of every order and against published values."""

from __future__ import annotations

import random
from datetime import date
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing_time.reports import trend
from processing_time.store_reports import Period, Rolled, Trend

JANUARY = date(2026, 1, 1)


def history(*values: float | None) -> list[Rolled]:
    """A metric from January on; None is a month whose row has no value."""
    return [
        Rolled(Period.MONTHLY.step(JANUARY, n), "metric", 0, value, None, None, 0)
        for n, value in enumerate(values)
    ]


@pytest.mark.parametrize("seed", range(40))
def test_chance_is_what_an_enumeration_of_every_order_says(seed: int) -> None:
    chance = random.Random(seed)
    values = [float(chance.randrange(5)) for _ in range(chance.randrange(1, 8))]
    found = abs(trend.score(values))
    orders = list(permutations(values))
    as_far = sum(abs(trend.score(order)) >= found for order in orders)
    assert trend.p_value(values) == pytest.approx(as_far / len(orders), rel=1e-12)


@pytest.mark.parametrize(
    ("months", "score", "one_sided"),
    # M. G. Kendall, "Rank Correlation Methods", table of the probability that S is reached or exceeded.
    [
        (4, 6, 0.042),
        (5, 8, 0.042),
        (6, 9, 0.068),
        (7, 13, 0.035),
        (8, 14, 0.054),
        (9, 16, 0.060),
        (10, 23, 0.023),
    ],
)
def test_published_probabilities(months: int, score: int, one_sided: float) -> None:
    values = _of_score(months, score)
    assert trend.score(values) == score
    assert trend.p_value(values) / 2 == pytest.approx(one_sided, abs=0.0005)


def _of_score(months: int, score: int) -> list[float]:
    """An order with that score: every exchange of neighbours costs two."""
    values = [float(n) for n in range(months)]
    exchanges = (months * (months - 1) // 2 - score) // 2
    for last in range(months - 1, 0, -1):
        for n in range(last):
            if exchanges and values[n] < values[n + 1]:
                values[n], values[n + 1] = values[n + 1], values[n]
                exchanges -= 1
    return values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Trend.TOO_FEW),
        ([1], Trend.TOO_FEW),
        ([1, 2, 3, 4], Trend.TOO_FEW),
        ([1, 2, None, 3, 4], Trend.TOO_FEW),
        ([1, 2, 3, 4, 5], Trend.UP),
        ([5, 4, 3, 2, 1], Trend.DOWN),
        ([7, 7, 7, 7, 7], Trend.FLAT),
        ([1, 2, 3, 5, 4], Trend.FLAT),
        ([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8], Trend.FLAT),
        ([10, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22], Trend.UP),
        ([10, 12, 14, 500, 18, 20, 22], Trend.UP),
        ([1, None, 2, None, 3, None, 4, None, 5], Trend.UP),
    ],
    ids=str,
)
def test_direction(values: list[float | None], expected: Trend) -> None:
    assert trend.trend(history(*values)) is expected


def test_the_slope_is_that_of_most_pairs_of_months() -> None:
    assert trend.course(history(10, 12, 14, 500, 18, 20, 22)).slope == 2
    assert trend.course(history(10, None, None, 16)).slope == 2, "by month, also over a gap"
    assert trend.course(history(10)).slope is None


@given(st.lists(st.integers(0, 30), max_size=12))
def test_turned_around_the_trend_is_the_opposite(values: list[int]) -> None:
    there, back = trend.course(history(*values)), trend.course(history(*values[::-1]))
    opposite = {Trend.UP: Trend.DOWN, Trend.DOWN: Trend.UP}
    assert back.trend is opposite.get(there.trend, there.trend)
    assert back.p_value == there.p_value
    assert (back.slope or 0) == -(there.slope or 0)


def test_chance_alone_is_called_a_trend_as_rarely_as_is_said() -> None:
    chance = random.Random(7)
    called = sum(
        trend.trend(history(*(chance.random() for _ in range(12)))) is not Trend.FLAT for _ in range(2000)
    )
    assert called / 2000 < trend.LEVEL + 0.015
    assert called / 2000 > trend.LEVEL / 2
