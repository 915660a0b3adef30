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
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from statistics import median

MONTHS = 12
"""How many months are looked at, the newest included."""
LEAST = 5
"""Fewer months never differ from chance: four in order come about in 2 of 24 arrangements."""
LEVEL = 0.05
"""A trend that comes about by chance less often than this is called one."""


class Direction(StrEnum):
    """Which way a metric goes; whether that is good, its settings say."""

    UP = "up"
    DOWN = "down"
    FLAT = "flat"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class Trend:
    """Where a metric goes.

    :param slope: in the metric's unit, by month; None with fewer than two months.
    :param p_value: how likely chance alone gives such an order of the months, in either direction.
    :param months: how many months have a value.
    """

    direction: Direction
    slope: float | None
    p_value: float
    months: int


def trend(series: Sequence[tuple[int, float]]) -> Trend:
    """The trend of at most :data:`MONTHS` months.

    :param series: number of the month and its value, in the order of time; months without a value are left out.
    """
    values = [value for _, value in series]
    slopes = [(b - a) / (n - m) for (m, a), (n, b) in combinations(series, 2)]
    slope = median(slopes) if slopes else None
    chance = p_value(values)
    if len(values) < LEAST:
        direction = Direction.TOO_FEW
    elif chance >= LEVEL:
        direction = Direction.FLAT
    else:
        direction = Direction.UP if score(values) > 0 else Direction.DOWN
    return Trend(direction, slope, chance, len(values))


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
