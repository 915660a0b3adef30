# SPDX-License-Identifier: MIT
"""From ``as_of`` to windows: days and ticks in Berlin, instants in UTC, bound parameters in the application's time.

Everything here is a function of its arguments; nothing asks for the present time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from processing_time.model import Window
from processing_time.settings import Metric

_EARLIEST = 2000


class AsOfError(ValueError):
    """The ``as_of`` given by a person cannot be used; the text says why and what to write."""


def parse_as_of(text: str, zone: ZoneInfo, present: datetime) -> datetime:
    """The instant that a person typed, in UTC, on whole seconds.

    :param text: ISO 8601; without an offset it is local time in ``zone`` (of the hour that comes twice in
        autumn, the first).
    :param present: the present time; an ``as_of`` after it is refused.
    :raises AsOfError: when the text is not such an instant, lies in the future or in a year before 2000, or names
        a local time that the clocks skip in spring.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise AsOfError(
            f"as_of = {text!r} is not a time: write it like 2026-03-29T12:00:00+02:00 or 2026-03-29T12:00"
        ) from None
    if instant.year < _EARLIEST:
        raise AsOfError(f"as_of = {text!r} lies before the year {_EARLIEST}: is the year as it was meant?")
    future = f"as_of = {text!r} lies in the future: give an instant up to the present one"
    if instant.year > present.year + 1:  # at the end of the calendar there is no other zone's time in Python
        raise AsOfError(future)
    if instant.tzinfo is None:
        local = instant.replace(tzinfo=zone)
        if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != instant:
            raise AsOfError(
                f"as_of = {text!r} does not exist in {zone}: the clocks skip that hour; add an offset"
            )
        instant = local
    if (instant := whole_seconds(instant)) > present:
        raise AsOfError(future)
    return instant


def whole_seconds(instant: datetime) -> datetime:
    """The instant in UTC without its fraction of a second."""
    return instant.astimezone(UTC).replace(microsecond=0)


def midnight(instant: datetime, zone: ZoneInfo, days_before: int = 0) -> datetime:
    """The local midnight at or before an instant, or some calendar days earlier; in UTC."""
    day = instant.astimezone(zone).date() - timedelta(days=days_before)
    return datetime.combine(day, time(), zone).astimezone(UTC)


def previous_tick(cron: str, zone: ZoneInfo, before: datetime) -> datetime:
    """The timetable's last tick strictly before an instant; in UTC."""
    return _tick(cron, zone, before, -1)


def next_tick(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """The timetable's first tick strictly after an instant; in UTC."""
    return _tick(cron, zone, after, +1)


def is_last_of_day(cron: str, zone: ZoneInfo, instant: datetime) -> bool:
    """Whether the instant is a tick of the timetable and no other follows on its local day."""
    if next_tick(cron, zone, instant - timedelta(seconds=1)) != instant:
        return False
    return next_tick(cron, zone, instant).astimezone(zone).date() > instant.astimezone(zone).date()


def _tick(cron: str, zone: ZoneInfo, instant: datetime, direction: int) -> datetime:
    # Cron speaks of wall-clock times: count on the naive local clock, then put the zone back. An instant's
    # fraction of a minute never matters to a cron expression of five fields.
    local = instant.astimezone(zone).replace(tzinfo=None)
    ticks = croniter(cron, local)
    while True:
        tick: datetime = ticks.get_prev(datetime) if direction < 0 else ticks.get_next(datetime)
        found = tick.replace(tzinfo=zone).astimezone(UTC)
        if (found - instant.astimezone(UTC)) * direction > timedelta():
            return found


@dataclass(frozen=True, slots=True)
class Timeline:
    """The windows of one check.

    :param as_of: the instant that the check speaks for; UTC, whole seconds.
    :param zone: the zone of days.
    :param application_zone: the zone in which the application writes naive times.
    :param since: where *since last check* starts; UTC.
    """

    as_of: datetime
    zone: ZoneInfo
    application_zone: ZoneInfo
    since: datetime

    @property
    def windows(self) -> Mapping[str, Window]:
        """The windows by the names that metrics use in the settings."""
        starts = {
            "today": midnight(self.as_of, self.zone),
            "yesterday_and_today": midnight(self.as_of, self.zone, 1),
            "7_days": midnight(self.as_of, self.zone, 7),
            "since_last_check": min(self.since, self.as_of),
            "instant": self.as_of,
        }
        return {name: Window(start, self.as_of) for name, start in starts.items()}

    def window(self, metric: Metric) -> Window:
        """The window of a metric; that of an error budget is its longest, ending at ``as_of`` as all do."""
        if metric.budget is not None:
            return Window(self.as_of - metric.budget.lengths[0], self.as_of)
        assert metric.window is not None, "the settings see to it"
        return self.windows[metric.window]

    def to_application(self, instant: datetime) -> datetime:
        """An instant as the naive time that the application would have written."""
        return instant.astimezone(self.application_zone).replace(tzinfo=None)

    def from_application(self, written: datetime) -> datetime:
        """A naive time that the application wrote, as an instant in UTC (in autumn's double hour: the first)."""
        return written.replace(tzinfo=self.application_zone).astimezone(UTC)


def length_text(length: timedelta) -> str:
    """A duration in the largest unit that divides it, a single day in hours: ``24 h``, ``5 min``, ``2 d``."""
    seconds = int(length.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds and seconds % size == 0 and (unit != "d" or seconds > size):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
