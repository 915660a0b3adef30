# SPDX-License-Identifier: MIT
"""From tallies to samples and facts."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate, compress
from operator import sub
from typing import TYPE_CHECKING, Any

from processing_time.model import Sample
from processing_time.sources.laravel_log.asked import CRITICAL, Asked, within
from processing_time.sources.laravel_log.records import iso
from processing_time.sources.laravel_log.scanning import Tally

if TYPE_CHECKING:
    from processing_time.settings import LogRule, Settings


class Measures:
    """What follows from the counts of one check.

    :param tallies: one for each mark of the plan.
    :param told: by rule, from when on records make its value: another check has told of those before.
    """

    def __init__(
        self, settings: Settings, asked: Asked, tallies: Sequence[Tally], told: Mapping[str, datetime]
    ) -> None:
        self._settings = settings
        self._asked = asked
        self._tallies = tallies
        self._told = told

    def samples(self) -> Iterator[Sample]:
        """One for each enabled metric and rule."""
        for key in self._settings.enabled("log"):
            if key in self._settings.log_rules:
                yield self._rule(key, self._settings.log_rules[key])
            elif self._settings.metrics[key].kind == "rate":
                yield self._rate(key)
            else:
                yield self._mean(key)

    def facts(self) -> dict[str, Any]:
        """What is not a sample."""
        metrics = [k for k in self._settings.enabled("log") if k in self._settings.metrics]
        newest_of = {name: self._newest(name) for name in self._asked.index if name != CRITICAL}
        today = self._asked.today
        return {
            "critical_records_today": self._count(CRITICAL, today),
            "today": {
                key: {
                    "hits": self._count(f"{key}.hit", today),
                    "misses": self._count(f"{key}.miss", today),
                }
                for key in metrics
                if self._settings.metrics[key].kind == "rate"
            },
            "sightings": {name: iso(second) for name, second in newest_of.items() if second is not None},
        }

    def _rate(self, key: str) -> Sample:
        since = self._asked.since
        hits, misses = self._count(f"{key}.hit", since), self._count(f"{key}.miss", since)
        return Sample(
            metric=key,
            window=self._asked.window,
            value=100 * hits / (hits + misses) if hits + misses else None,
            numerator=hits,
            denominator=hits + misses,
            detail={"hits": hits, "misses": misses},
        )

    def _mean(self, key: str) -> Sample:
        name = f"{key}.value"
        numbers = sorted(self._tallies[self._asked.index[name]].numbers) if name in self._asked.index else []
        total = math.fsum(numbers)
        return Sample(
            metric=key,
            window=self._asked.window,
            value=total / len(numbers) if numbers else None,
            numerator=total,
            denominator=len(numbers),
            detail={
                "p50": _percentile(numbers, 50),
                "p95": _percentile(numbers, 95),
                "max": numbers[-1] if numbers else None,
                "records": self._count(f"{key}.record", self._asked.since),
            },
        )

    def _rule(self, key: str, rule: LogRule) -> Sample:
        total = self._count(f"{key}.match", self._asked.since)
        news = self._asked.since
        if key in self._told:
            news = max(news, int(self._told[key].timestamp()))
        newest = self._newest(f"{key}.match")
        largest, burst_at = total if newest is not None and newest >= news else 0, None
        if rule.within:
            first = news - within(rule)
            index = self._asked.index[f"{key}.match"]
            series = self._tallies[index].series[first - self._asked.series_from[index] :]
            largest, at = _busiest(series, within(rule))
            burst_at = None if at is None else iso(first + at)
        detail: dict[str, Any] = {
            "burst_at": burst_at,
            "total": total,
            "last_24h": self._count(f"{key}.match", self._asked.day_ago),
        }
        if rule.successes:
            detail["successes"] = self._count(f"{key}.successes", self._asked.since)
        return Sample(metric=key, window=self._asked.window, value=largest, numerator=total, detail=detail)

    def _count(self, name: str, first: int) -> int:
        """How often something was seen since one of the plan's edges; never, if nobody asked for it."""
        if name not in self._asked.index:
            return 0
        return self._tallies[self._asked.index[name]].since[self._asked.plan.edges.index(first)]

    def _newest(self, name: str) -> int | None:
        return self._tallies[self._asked.index[name]].newest


def _busiest(counts: array[int], length: int) -> tuple[int, int | None]:
    """The largest count in ``length`` seconds that end with a counted one behind the first ``length``, and its index."""
    first = next(compress(range(length, len(counts)), counts[length:]), None)
    if first is None:
        return 0, None
    sums = memoryview(array("I", accumulate(counts, initial=0)))

    def windows() -> Iterator[int]:
        """For each second from the first counted one on; between two counted ones they only fall."""
        return map(sub, sums[first + 1 :], sums[first + 1 - length :])

    largest = max(windows())
    return largest, first + next(i for i, count in enumerate(windows()) if count == largest)


def _percentile(ordered: list[float], percent: int) -> float | None:
    """The smallest number that at least so many percent do not exceed (nearest rank)."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None
