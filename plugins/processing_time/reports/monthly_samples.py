# SPDX-License-Identifier: MIT
"""A month of what only the log or the cache knew, from the samples of its checks.

Numerators and denominators are added up, never values: a night without traffic weighs nothing. Readings of the log may
overlap (a check of an instant between two others, made later), so those that overlap least and cover most are taken, and
no line counts twice. What cannot be added up, such as percentiles, is left out. A sample belongs to the month in which
its window ends: the reading over the night of the first holds some hours of the month before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from processing_time.model import ALL_COMPANIES, Window
from processing_time.settings import Metric, Settings
from processing_time.store_reports import Rolled


@dataclass(frozen=True, slots=True)
class Reading:
    """What one check measured of a metric or rule: a row of ``samples`` that was not lost."""

    metric: str
    company_id: int
    window: Window
    value: float | None
    numerator: float | None
    denominator: float | None


@dataclass(frozen=True, slots=True)
class SampleRollup:
    """A month out of samples.

    :param rows: of every metric and company that was measured at all.
    :param covered: by metric, the time that its readings cover together; nought for what is read at an instant.
    """

    rows: tuple[Rolled, ...]
    covered: Mapping[str, timedelta]


def rolled_keys(settings: Settings) -> list[str]:
    """The metrics and rules that are rolled up from samples: what the application's database does not keep."""
    return [*settings.enabled("log"), *settings.enabled("redis")]


def roll_up(month: date, readings: Iterable[Reading], settings: Settings) -> SampleRollup:
    """Roll a month's readings up, a row for each metric and company that has any.

    :param readings: those that end in the month, in any order; of the keys that :func:`rolled_keys` names.
    """
    by_metric: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_metric[reading.metric].append(reading)
    rows: list[Rolled] = []
    covered: dict[str, timedelta] = {}
    for metric, own in sorted(by_metric.items()):
        # All companies together have a row at every check: which readings count is decided there.
        chosen = apart([r.window for r in own if r.company_id == ALL_COMPANIES])
        covered[metric] = sum((window.length for window in chosen), timedelta())
        by_company: dict[int, list[Reading]] = defaultdict(list)
        for reading in own:
            by_company[reading.company_id].append(reading)
        rows += [
            _row(month, metric, company_id, theirs, frozenset(chosen), settings)
            for company_id, theirs in sorted(by_company.items())
        ]
    return SampleRollup(tuple(rows), covered)


def apart(windows: Sequence[Window]) -> list[Window]:
    """Windows of which no two overlap and that cover as much time as can be; instants all count.

    Weighted interval scheduling: the best up to each window's end is the best without it, or with it after the best up to
    its start.
    """
    ordered = sorted(set(windows), key=lambda w: (w.end, w.start))
    ends = [w.end for w in ordered]
    best: list[tuple[timedelta, int]] = [(timedelta(), 0)]
    """Up to each window: the time covered, and how many windows that takes; an instant is worth having, too."""
    before: list[int] = []
    for place, window in enumerate(ordered):
        before.append(bisect_right(ends, window.start, hi=place))
        covered, count = best[before[place]]
        best.append(max(best[place], (covered + window.length, count + 1)))
    chosen: list[Window] = []
    place = len(ordered)
    while place:
        if best[place] == best[place - 1]:
            place -= 1
        else:
            chosen.append(ordered[place - 1])
            place = before[place - 1]
    return chosen[::-1]


def _row(
    month: date,
    metric: str,
    company_id: int,
    readings: Sequence[Reading],
    chosen: frozenset[Window],
    settings: Settings,
) -> Rolled:
    counted = [r for r in readings if r.window in chosen]
    numerator = sum(r.numerator or 0 for r in counted)
    total = sum(r.denominator for r in counted if r.denominator is not None)
    rule = settings.rule(metric)
    value: float | None
    denominator: float | None = total
    if not isinstance(rule, Metric):
        # A rule's value is its largest burst; seeing one twice makes it no larger.
        value, denominator = max((r.value or 0 for r in readings), default=0), None
    elif rule.kind == "count":
        # What is read at an instant has no sum: its mean over the checks.
        denominator = len(counted)
        value = numerator / denominator if counted else None
    else:
        value = numerator / total * (100 if rule.kind == "rate" else 1) if total else None
    return Rolled(month, metric, company_id, value, numerator, denominator, samples=len(counted))
