# SPDX-License-Identifier: MIT
"""When nobody watched, or a part of it could not be seen: hours of the timetable without a check, or with losses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from processing_time.model import Window
from processing_time.reports.weekly_history import Watch
from processing_time.timeline import next_tick


@dataclass(frozen=True, slots=True)
class Blind:
    """A stretch of the timetable in which the same could not be seen.

    :param until: when the next check was due; behind the last one of a day, as long after it as checks are apart.
    :param lost: the metrics and rules that were not measured; empty when there was no check at all.
    """

    since: datetime
    until: datetime
    lost: tuple[str, ...]
    reason: str

    @property
    def hours(self) -> int:
        """How long it lasted."""
        return round((self.until - self.since) / timedelta(hours=1))


def blind_hours(watch: Watch, window: Window, cron: str, zone: ZoneInfo) -> list[Blind]:
    """The blind hours of a week, oldest first; an installation is not blind before its first check."""
    found: list[Blind] = []
    for hour in _hours(window, cron, zone):
        if watch.first is None or hour.end <= watch.first:
            continue
        lost, reason = _unseen(watch, hour)
        if lost is None:
            continue
        last = found[-1] if found else None
        if last and (last.until, last.lost, last.reason) == (hour.start, lost, reason):
            found[-1] = replace(last, until=hour.end)
        else:
            found.append(Blind(hour.start, hour.end, lost, reason))
    return found


def _hours(window: Window, cron: str, zone: ZoneInfo) -> Iterator[Window]:
    """The stretches that the checks of a week stand for: from each to the next, a night counts for none."""
    ticks = [next_tick(cron, zone, window.start - timedelta(seconds=1))]
    while ticks[-1] < window.end:
        ticks.append(next_tick(cron, zone, ticks[-1]))
    apart = min((after - before for before, after in pairwise(ticks)), default=timedelta())
    for tick, following in pairwise(ticks):
        yield Window(tick, min(following, tick + apart))


def _unseen(watch: Watch, hour: Window) -> tuple[tuple[str, ...] | None, str]:
    """What was not seen in an hour, and why; None when all was."""
    checks = [at for at in watch.checks if hour.start <= at < hour.end]
    if not checks:
        return (), ""
    lost = [entry for entry in watch.lost if entry.as_of == checks[-1]]
    if not lost:
        return None, ""
    return tuple(entry.metric for entry in lost), lost[0].reason
