# SPDX-License-Identifier: MIT
"""The lines of a metric as data: seven days of checks, 13 months of rollups, with bounds and incidents.

A line breaks where a check is missing, and says so where one could not measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from processing_time.findings import UNKNOWN
from processing_time.model import Alert
from processing_time.page.words import bounds, quantity, title, unit
from processing_time.settings import Settings
from processing_time.store_page import Point
from processing_time.store_reports import Rolled
from processing_time.timeline import midnight, next_tick

DAYS, MONTHS = 7, 13
FINENESS = 150
"""No incident is drawn narrower than this part of a line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line to draw. Places on the axis of time are days since its begin; hashable, so that equal ones are drawn once.

    :param runs: stretches without a gap, of (place, value).
    :param unmeasured: places at which a check could not measure.
    :param bounds: levels that the values are held against, by name.
    :param incidents: (begin, end) of alerts.
    :param ticks: what places are called.
    :param alt: what the line shows, in words.
    """

    span: float
    runs: tuple[tuple[tuple[float, float], ...], ...]
    unmeasured: tuple[float, ...]
    bounds: tuple[tuple[str, float], ...]
    incidents: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, str], ...]
    alt: str
    top: float | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.runs and not self.unmeasured


def week_start(as_of: datetime, zone: ZoneInfo) -> datetime:
    """Where the seven days begin that end at an instant: at a local midnight; UTC."""
    return midnight(as_of, zone, DAYS - 1)


def months_until(as_of: datetime, zone: ZoneInfo) -> list[date]:
    """The first days of the 13 months before that of an instant and of that month itself, oldest first."""
    local = as_of.astimezone(zone).date()
    number = local.year * 12 + local.month - 1
    return [date(n // 12, n % 12 + 1, 1) for n in range(number - MONTHS, number + 1)]


def week(
    key: str,
    points: Sequence[Point],
    alerts: Sequence[Alert],
    settings: Settings,
    start: datetime,
    end: datetime,
) -> Line:
    """The line of seven days.

    :param points: oldest first.
    :param alerts: those of every rule; the line takes its own.
    :param end: the newest check; an alert that is open reaches to it.
    """
    # Until today: days without a check are part of it.
    span = _place(midnight(start, settings.zone, -DAYS), start)
    runs: list[list[tuple[float, float]]] = []
    before: datetime | None = None
    for point in points:
        if point.value is None:
            before = None
            continue
        if before is None or _missed(settings.schedule.health_check, settings.timezone, before, point.at):
            runs.append([])
        runs[-1].append((_place(point.at, start), point.value))
        before = point.at
    first = start.astimezone(settings.zone).date()
    days = [first + timedelta(days=n) for n in range(DAYS)]
    noon = [(_place(_midnight(day, settings.zone), start) + 0.5, f"{day:%a %d}") for day in days[::2]]
    return Line(
        span=span,
        runs=_frozen(runs),
        unmeasured=tuple(_place(p.at, start) for p in points if p.value is None),
        bounds=bounds(key, settings),
        incidents=_incidents(key, alerts, start, end, span),
        ticks=tuple(noon),
        alt=_alt(f"{DAYS} days", "measurements", [p.value for p in points], key, alerts, start, settings),
        top=_top(key, settings),
    )


def months(
    key: str,
    rows: Sequence[Rolled],
    alerts: Sequence[Alert],
    settings: Settings,
    starts: Sequence[date],
    end: datetime,
) -> Line:
    """The line of 13 months: each month's figure stands in the middle of its month.

    :param rows: oldest first.
    :param starts: the first days of the months on the axis.
    :param end: the newest check.
    """
    begin = _midnight(starts[0], settings.zone)
    edges = {day: _place(_midnight(day, settings.zone), begin) for day in starts}
    after = (starts[-1].replace(day=28) + timedelta(days=4)).replace(day=1)
    edges[after] = _place(_midnight(after, settings.zone), begin)
    middle = {day: (edges[day] + edges[next_]) / 2 for day, next_ in pairwise(sorted(edges))}
    runs: list[list[tuple[float, float]]] = []
    before = -2
    for row in rows:
        place = starts.index(row.period_start)
        if row.value is None:
            continue
        if place != before + 1:
            runs.append([])
        runs[-1].append((middle[row.period_start], row.value))
        before = place
    return Line(
        span=edges[after],
        runs=_frozen(runs),
        unmeasured=tuple(middle[r.period_start] for r in rows if r.value is None),
        bounds=bounds(key, settings),
        incidents=_incidents(key, alerts, begin, end, edges[after]),
        ticks=tuple((middle[day], f"{day:%b %y}") for day in starts[1::4]),
        alt=_alt(f"{MONTHS} months", "months", [r.value for r in rows], key, alerts, begin, settings),
        top=_top(key, settings),
    )


def by_rule(alerts: Iterable[Alert]) -> Mapping[str, list[Alert]]:
    """Alerts by the metric or rule that they are about; of one that cannot be measured too."""
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.rule.removesuffix(UNKNOWN), []).append(alert)
    return found


def _incidents(
    key: str, alerts: Sequence[Alert], start: datetime, end: datetime, span: float
) -> tuple[tuple[float, float], ...]:
    """The alerts of a rule, wide enough to be seen; what would run into one another is one."""
    ours = (a for a in alerts if a.rule.removesuffix(UNKNOWN) == key)
    seen = ((max(a.opened_at, start), min(a.resolved_at or end, end)) for a in ours)
    merged: list[tuple[float, float]] = []
    for begin, over in sorted((_place(a, start), _place(b, start)) for a, b in seen if a <= b):
        over = max(over, begin + span / FINENESS)
        if merged and begin <= merged[-1][1]:
            begin, over = merged[-1][0], max(over, merged.pop()[1])
        merged.append((begin, over))
    return tuple(merged)


def _alt(
    length: str,
    what: str,
    values: Sequence[float | None],
    key: str,
    alerts: Sequence[Alert],
    start: datetime,
    settings: Settings,
) -> str:
    of = unit(key, settings)
    known = [v for v in values if v is not None]
    text = f"{title(key, settings)}, {length}: "
    if not known:
        return text + ("not measured." if values else "nothing is kept of this time.")
    low, high, last = (quantity(v, of) for v in (min(known), max(known), known[-1]))
    text += f"{len(known)} {what}, from {low} to {high}, the last {last}."
    if len(known) < len(values):
        text += f" {len(values) - len(known)} could not be measured."
    count = sum(
        a.rule.removesuffix(UNKNOWN) == key and (a.resolved_at is None or a.resolved_at >= start)
        for a in alerts
    )
    return text + (f" {count} incidents." if count != 1 else " 1 incident.")


def _top(key: str, settings: Settings) -> float | None:
    metric = settings.metrics.get(key)
    return 100.0 if metric and metric.kind == "rate" else None


def _frozen(runs: list[list[tuple[float, float]]]) -> tuple[tuple[tuple[float, float], ...], ...]:
    return tuple(tuple(run) for run in runs)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _place(at: datetime, start: datetime) -> float:
    return round((at - start).total_seconds() / 86400, 4)


@lru_cache(maxsize=1024)
def _missed(cron: str, zone: str, before: datetime, after: datetime) -> bool:
    """Whether a check was due between two that came."""
    return next_tick(cron, ZoneInfo(zone), before) < after
