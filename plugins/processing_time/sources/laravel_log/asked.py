# SPDX-License-Identifier: MIT
"""What the settings ask of the log at one check: which marks, over which seconds, and where the answers stand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from processing_time.sources.laravel_log.matching import Mark
from processing_time.sources.laravel_log.scanning import Plan

if TYPE_CHECKING:  # the second process that may read along does not need them and starts sooner
    from processing_time.settings import LogRule, Metric, Settings
    from processing_time.timeline import Timeline

CRITICAL = "critical"
"""The name of the mark that every critical record bears."""


def marks(settings: Settings) -> Iterator[Mark]:
    """What the records are asked for; the names are those of the facts' ``sightings``."""
    yield Mark(CRITICAL, critical=True)
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


class Asked:
    """The plan of a check's reading, and what its parts are.

    :param need_since: an instant from which on the caller wants to know what was seen, when that is earlier than
        anything that is measured.
    :ivar since: the second where *since last check* begins; ``today`` and ``day_ago`` likewise.
    :ivar index: by the name of a mark, the index of its tally.
    :ivar series_from: by such an index, from when on every second is counted for itself.
    """

    def __init__(self, settings: Settings, timeline: Timeline, need_since: datetime | None = None) -> None:
        self.window = timeline.windows["since_last_check"]
        self.since = _second(self.window.start)
        self.today = _second(timeline.windows["today"].start)
        end = _second(timeline.as_of)
        self.day_ago = end - 24 * 3600
        windows = {
            k: within(settings.log_rules[k]) for k in settings.enabled("log") if k in settings.log_rules
        }
        asked = end if need_since is None else _second(need_since)
        named = {mark.name: mark for mark in marks(settings)}
        distinct = tuple(dict.fromkeys(named.values()))  # several names may ask for the same
        self.index = {name: distinct.index(mark) for name, mark in named.items()}
        self.series_from: dict[int, int] = {}
        for key, length in windows.items():
            if length:
                index = self.index[f"{key}.match"]
                self.series_from[index] = min(self.since - length, self.series_from.get(index, end))
        self.plan = Plan(
            marks=distinct,
            zone=settings.application.timezone,
            start=min(self.since - max(windows.values(), default=0), self.day_ago, self.today, asked),
            end=end,
            edges=(self.since, self.today, self.day_ago),
            series_from=tuple(self.series_from.get(i) for i in range(len(distinct))),
            numbers_from=self.since,
        )

    @property
    def sign(self) -> str:
        """What two readings have in common whose counts may be added: the same marks over the same seconds."""
        plan = self.plan
        parts = (plan.marks, plan.zone, plan.end, plan.edges, plan.series_from, plan.numbers_from)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def within(rule: LogRule) -> int:
    """The stretch that a rule looks at, in seconds; 0 when it looks at everything since the last check."""
    return int(rule.within.total_seconds()) if rule.within else 0


def _second(instant: datetime) -> int:
    return int(instant.timestamp())
