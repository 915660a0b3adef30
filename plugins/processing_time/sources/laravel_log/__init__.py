# SPDX-License-Identifier: MIT
"""The application's Laravel log as a source: one slice of time read once, for all metrics and rules.

What counts as a record and as a match is said in :mod:`.records` and :mod:`.matching`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, compress
from operator import sub
from typing import TYPE_CHECKING, Any

from processing_time.model import Collected, Sample, SourceUnavailable
from processing_time.model import Window as Window
from processing_time.sources.laravel_log.files import LogFile, open_logs
from processing_time.sources.laravel_log.matching import Mark, PatternError
from processing_time.sources.laravel_log.records import iso
from processing_time.sources.laravel_log.scanning import Plan, Tally, scan
from processing_time.sources.laravel_log.slices import newest, parts

if TYPE_CHECKING:  # the second process that may read along does not need them and starts sooner
    from processing_time.settings import LogRule, Metric, Settings
    from processing_time.timeline import Timeline

_CRITICAL = "critical"
_AHEAD = timedelta(seconds=60)
"""How far ahead of ours the application's clock may be."""
_ATTEMPTS = 3


def collect(
    settings: Settings, timeline: Timeline, *, present: datetime, need_since: datetime | None = None
) -> Collected:
    """Measure every enabled log metric and rule over the window *since last check*.

    :param present: the present time, to tell a log that is ahead of it.
    :param need_since: an instant from which on the caller wants to know what was seen, when that is earlier than
        anything that is measured.
    :return: samples of company 0, and facts: files, bytes read, the newest record, the day's tallies, and of every
        kind of record when it was seen last before ``as_of``.
    :raises SourceUnavailable: when no log file is there, one cannot be read, none holds a record, a pattern cannot
        run, or the newest record lies in the future.
    """
    for attempt in range(_ATTEMPTS):
        with open_logs(settings.application.logs) as (files, globs):
            last = _newest(files, settings, present)
            reading = _Reading(settings, timeline, need_since)
            try:
                reading.scan(files)
            except PatternError as error:
                raise SourceUnavailable(str(error)) from None
            # Emptied under our hands (copytruncate): what was in it is in another file by now.
            if attempt + 1 < _ATTEMPTS and any(file.shrunk for file in files):
                continue
            break
    facts = {
        "files": [{"path": file.path, "bytes_read": file.bytes_read} for file in files],
        "bytes_read": sum(file.bytes_read for file in files),
        "newest_record": None if last is None else iso(last),
        "globs": globs,
        **reading.facts(),
    }
    return Collected(tuple(reading.samples()), facts)


def _newest(files: list[LogFile], settings: Settings, present: datetime) -> int | None:
    """The time of the newest record of all plain files, which must not lie in the future."""
    found = [
        (second, file.path)
        for file in files
        if not file.packed
        if (second := newest(file, settings.application_zone))
    ]
    if not found:
        # An empty log is a quiet application; lines that are no records are a format that nobody reads.
        if files and all(file.size and not (file.packed or file.shrunk) for file in files):
            raise SourceUnavailable(
                f"{files[0].path} holds no line that begins with a time such as [2026-03-29 03:10:00]: check that"
                " application.logs names Laravel's log, and that Laravel writes lines, not JSON"
            )
        return None
    second, path = max(found)
    if second > (present + _AHEAD).timestamp():
        raise SourceUnavailable(
            f"application.timezone = {settings.application.timezone!r} cannot be right: the newest record of {path} "
            f"would lie in the future ({iso(second)}); set the zone in which the application writes its log"
        )
    return second


def marks(settings: Settings) -> Iterator[Mark]:
    """What the records are asked for; the names are those of the facts' ``sightings``."""
    yield Mark(_CRITICAL, critical=True)
    for key in settings.enabled("log"):
        yield from (
            _marks_of_metric(key, settings.metrics[key])
            if key in settings.metrics
            else _marks_of_rule(key, settings.log_rules[key])
        )


def _marks_of_metric(key: str, metric: Metric) -> Iterator[Mark]:
    patterns = metric.patterns
    named = {"alive": metric.alive, "record": patterns.record, "hit": patterns.hit, "miss": patterns.miss}
    yield from (Mark(f"{key}.{name}", all_of) for name, all_of in named.items() if all_of)
    if patterns.value:
        yield Mark(f"{key}.value", patterns.record, value=patterns.value)


def _marks_of_rule(key: str, rule: LogRule) -> Iterator[Mark]:
    yield Mark(f"{key}.match", rule.all_of, rule.message_any_of)
    if rule.alive:
        yield Mark(f"{key}.alive", rule.alive)
    if rule.successes:
        yield Mark(f"{key}.successes", rule.successes.all_of, rule.successes.message_any_of)


class _Reading:
    """One slice of the log, counted, and what follows from the counts."""

    def __init__(self, settings: Settings, timeline: Timeline, need_since: datetime | None) -> None:
        self._settings = settings
        self._window = timeline.windows["since_last_check"]
        self._since = _second(self._window.start)
        self._today = _second(timeline.windows["today"].start)
        end = _second(timeline.as_of)
        self._day_ago = end - 24 * 3600
        rules = [k for k in settings.enabled("log") if k in settings.log_rules]
        windows = {key: _within(settings.log_rules[key]) for key in rules}
        asked = end if need_since is None else _second(need_since)
        named = {mark.name: mark for mark in marks(settings)}
        distinct = tuple(dict.fromkeys(named.values()))  # several names may ask for the same
        self._index = {name: distinct.index(mark) for name, mark in named.items()}
        self._series_from: dict[int, int] = {}
        for key, within in windows.items():
            if within:
                index = self._index[f"{key}.match"]
                self._series_from[index] = min(self._since - within, self._series_from.get(index, end))
        self._plan = Plan(
            marks=distinct,
            zone=settings.application.timezone,
            start=min(self._since - max(windows.values(), default=0), self._day_ago, self._today, asked),
            end=end,
            edges=(self._since, self._today, self._day_ago),
            series_from=tuple(self._series_from.get(i) for i in range(len(distinct))),
            numbers_from=self._since,
        )
        self._tallies: list[Tally] = []

    def scan(self, files: list[LogFile]) -> None:
        """Read the slice out of the files."""
        plan = self._plan
        self._tallies = scan(plan, parts(files, self._settings.application_zone, plan.start, plan.end))

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
        newest_of = {name: self._newest(name) for name in self._index if name != _CRITICAL}
        return {
            "critical_records_today": self._count(_CRITICAL, self._today),
            "today": {
                key: {
                    "hits": self._count(f"{key}.hit", self._today),
                    "misses": self._count(f"{key}.miss", self._today),
                }
                for key in metrics
                if self._settings.metrics[key].kind == "rate"
            },
            "sightings": {name: iso(second) for name, second in newest_of.items() if second is not None},
        }

    def _rate(self, key: str) -> Sample:
        hits, misses = self._count(f"{key}.hit", self._since), self._count(f"{key}.miss", self._since)
        return Sample(
            metric=key,
            window=self._window,
            value=100 * hits / (hits + misses) if hits + misses else None,
            numerator=hits,
            denominator=hits + misses,
            detail={"hits": hits, "misses": misses},
        )

    def _mean(self, key: str) -> Sample:
        name = f"{key}.value"
        numbers = sorted(self._tallies[self._index[name]].numbers) if name in self._index else []
        total = math.fsum(numbers)
        return Sample(
            metric=key,
            window=self._window,
            value=total / len(numbers) if numbers else None,
            numerator=total,
            denominator=len(numbers),
            detail={
                "p50": _percentile(numbers, 50),
                "p95": _percentile(numbers, 95),
                "max": numbers[-1] if numbers else None,
                "records": self._count(f"{key}.record", self._since),
            },
        )

    def _rule(self, key: str, rule: LogRule) -> Sample:
        total = self._count(f"{key}.match", self._since)
        largest, burst_at = total, None
        if rule.within:
            first = self._since - _within(rule)
            index = self._index[f"{key}.match"]
            series = self._tallies[index].series[first - self._series_from[index] :]
            largest, at = _busiest(series, _within(rule))
            burst_at = None if at is None else iso(first + at)
        detail: dict[str, Any] = {
            "burst_at": burst_at,
            "total": total,
            "last_24h": self._count(f"{key}.match", self._day_ago),
        }
        if rule.successes:
            detail["successes"] = self._count(f"{key}.successes", self._since)
        return Sample(metric=key, window=self._window, value=largest, numerator=total, detail=detail)

    def _count(self, name: str, first: int) -> int:
        """How often something was seen since one of the plan's edges; never, if nobody asked for it."""
        if name not in self._index:
            return 0
        return self._tallies[self._index[name]].since[self._plan.edges.index(first)]

    def _newest(self, name: str) -> int | None:
        return self._tallies[self._index[name]].newest


def _busiest(counts: array[int], within: int) -> tuple[int, int | None]:
    """The largest count in ``within`` seconds that end with a counted one behind the first ``within``, and its index."""
    first = next(compress(range(within, len(counts)), counts[within:]), None)
    if first is None:
        return 0, None
    sums = memoryview(array("I", accumulate(counts, initial=0)))

    def windows() -> Iterator[int]:
        """For each second from the first counted one on; between two counted ones they only fall."""
        return map(sub, sums[first + 1 :], sums[first + 1 - within :])

    largest = max(windows())
    return largest, first + next(i for i, count in enumerate(windows()) if count == largest)


def _percentile(ordered: list[float], percent: int) -> float | None:
    """The smallest number that at least so many percent do not exceed (nearest rank)."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


def _within(rule: LogRule) -> int:
    return int(rule.within.total_seconds()) if rule.within else 0


def _second(instant: datetime) -> int:
    return int(instant.astimezone(UTC).timestamp())
