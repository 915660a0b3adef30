# SPDX-License-Identifier: MIT
"""Whether a metric rises or falls over some months, or whether that is noise.

The slope is the median of the slopes between every two months (Theil 1950, Sen 1968, "Estimates of the Regression
Coefficient Based on Kendall's Tau"): a month that is far off moves it little. Whether it differs from nought is asked by
the test of Mann (1945, "Nonparametric Tests Against Trend") and Kendall: how likely it is that so many pairs of months
go the same way when their order is chance. That is counted exactly, because for a dozen months the normal
approximation is too bold: the pairs out of order among all arrangements of values with ties follow the Gaussian
multinomial coefficient (MacMahon 1916).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import median

from processing_time.reports.monthly_period import number_of
from processing_time.store_reports import History, Trend

MONTHS = 12
"""How many months are looked at, the newest included."""
LEAST = 5
"""Fewer months never differ from chance: four in order come about in 2 of 24 arrangements."""
LEVEL = 0.05
"""A trend that comes about by chance less often than this is called one."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a metric has gone.

    :param slope: in the metric's unit, by month; None with fewer than two months.
    :param p_value: how likely chance alone puts the months into such an order, in either direction.
    :param months: how many months have a value.
    """

    trend: Trend
    slope: float | None
    p_value: float
    months: int


def course(history: History) -> Course:
    """How a metric has gone in a history of at most :data:`MONTHS` months; those without a value are left out."""
    series = [(number_of(row.period_start), row.value) for row in history if row.value is not None]
    values = [value for _, value in series]
    slopes = [(b - a) / (n - m) for (m, a), (n, b) in combinations(series, 2)]
    return Course(_direction(values), median(slopes) if slopes else None, p_value(values), len(values))


def trend(history: History) -> Trend:
    """Where a metric goes: ``up`` and ``down`` only when that differs from chance."""
    return _direction([row.value for row in history if row.value is not None])


def _direction(values: Sequence[float]) -> Trend:
    if len(values) < LEAST:
        return Trend.TOO_FEW
    if p_value(values) >= LEVEL:
        return Trend.FLAT
    return Trend.UP if score(values) > 0 else Trend.DOWN


def score(values: Sequence[float]) -> int:
    """Kendall's S: the pairs that rise less those that fall."""
    return sum((b > a) - (b < a) for a, b in combinations(values, 2))


def p_value(values: Sequence[float]) -> float:
    """How often an arrangement of these values has a score at least as far from nought; exact, also with ties."""
    arrangements = _by_inversions(tuple(sorted(Counter(values).values())))
    pairs, found = len(arrangements) - 1, abs(score(values))
    extreme = sum(
        count for inversions, count in enumerate(arrangements) if abs(pairs - 2 * inversions) >= found
    )
    return extreme / sum(arrangements)


@lru_cache(maxsize=256)
def _by_inversions(ties: tuple[int, ...]) -> tuple[int, ...]:
    """How many arrangements have 0, 1, 2 … pairs out of order; ``ties`` says how often each value is there."""
    polynomial: tuple[int, ...] = (1,)
    placed = 0
    for size in ties:
        placed += size
        polynomial = _times(polynomial, _gaussian(placed, size))
    return polynomial


@lru_cache(maxsize=256)
def _gaussian(n: int, k: int) -> tuple[int, ...]:
    """The Gaussian binomial coefficient: k equal values among n, by pairs out of order."""
    if k in (0, n):
        return (1,)
    with_last = _gaussian(n - 1, k - 1)
    without = (*[0] * k, *_gaussian(n - 1, k))
    longest = max(len(with_last), len(without))
    padded = [(*part, *[0] * (longest - len(part))) for part in (with_last, without)]
    return tuple(a + b for a, b in zip(*padded, strict=True))


def _times(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    product = [0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            product[i + j] += a * b
    return tuple(product)
