# SPDX-License-Identifier: MIT
"""Whether a week differs from the one before by more than chance."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from processing_time.store_reports import History, Period, Rolled, Trend

if TYPE_CHECKING:
    from processing_time.settings import Settings

REACH = 1
"""How many weeks before are looked at."""
SURE = 1.96
"""The two-sided 95 % quantile of the normal distribution."""
CLEAR = 0.05
"""Relative change of a number whose spread is not known, from which on it counts."""


def trend(history: History, settings: Settings) -> Trend:
    """Where a metric went against the week before; of a row whose predecessor is not kept, what it says itself."""
    row = history[-1]
    before = Period.WEEKLY.step(row.period_start, -1)
    predecessor = next((r for r in history if r.period_start == before), None)
    return row.trend if predecessor is None else compare(row, predecessor, settings)


def compare(row: Rolled, before: Rolled, settings: Settings) -> Trend:
    """``up`` or ``down`` by the value itself, not by what is better.

    A rate is tested as two proportions, a count as two Poisson counts; other numbers must differ by 5 %.
    """
    if row.value is None or before.value is None or _small(row, settings) or _small(before, settings):
        return Trend.TOO_FEW
    difference = row.value - before.value
    kind = _kind(row.metric, settings)
    if kind == "rate":
        clear = _proportions_differ(row, before)
    elif kind == "count":
        clear = abs(difference) >= SURE * sqrt(row.value + before.value) > 0
    else:
        clear = abs(difference) >= CLEAR * abs(before.value) and difference != 0
    if not clear:
        return Trend.FLAT
    return Trend.UP if difference > 0 else Trend.DOWN


def _proportions_differ(row: Rolled, before: Rolled) -> bool:
    """The pooled two-proportion z-test."""
    good, total = (row.numerator or 0, before.numerator or 0), (row.denominator or 0, before.denominator or 0)
    if not all(total):
        return False
    pooled = sum(good) / sum(total)
    spread = sqrt(pooled * (1 - pooled) * (1 / total[0] + 1 / total[1]))
    return spread > 0 and abs(good[0] / total[0] - good[1] / total[1]) >= SURE * spread


def _small(row: Rolled, settings: Settings) -> bool:
    metric = settings.metrics.get(row.metric)
    return metric is not None and (row.denominator or 0) < metric.min_volume


def _kind(key: str, settings: Settings) -> str:
    if key in settings.metrics:
        return settings.metrics[key].kind
    return "count" if key in settings.log_rules else "rate"
