# SPDX-License-Identifier: MIT
"""The week of a report: seven local days before the midnight of its ``as_of``, and the seven before those."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from processing_time.model import Window

DAYS = 7
MONDAY = 0


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days that begin with ``first``; 167 or 169 hours where the clocks change.

    :param zone: the zone of days.
    """

    first: date
    zone: ZoneInfo

    @classmethod
    def before(cls, as_of: datetime, zone: ZoneInfo) -> Week:
        """The seven days before the local day of an instant."""
        return cls(as_of.astimezone(zone).date() - timedelta(days=DAYS), zone)

    @property
    def dates(self) -> tuple[date, ...]:
        """Its days."""
        return tuple(self.first + timedelta(days=n) for n in range(DAYS))

    @property
    def last(self) -> date:
        """Its last day."""
        return self.dates[-1]

    @property
    def previous(self) -> Week:
        """The seven days before."""
        return Week(self.first - timedelta(days=DAYS), self.zone)

    @property
    def days(self) -> tuple[Window, ...]:
        """Each day from midnight to midnight; UTC."""
        edges = [self._midnight(n) for n in range(DAYS + 1)]
        return tuple(Window(start, end) for start, end in pairwise(edges))

    @property
    def window(self) -> Window:
        """The whole week; UTC."""
        return Window(self._midnight(0), self._midnight(DAYS))

    @property
    def whole(self) -> bool:
        """Whether it is a calendar week, from Monday on: only those are kept."""
        return self.first.weekday() == MONDAY

    @property
    def number(self) -> int:
        """The number of the calendar week by ISO 8601, which its Thursday decides."""
        return self.first.isocalendar().week

    def _midnight(self, days: int) -> datetime:
        return datetime.combine(self.first + timedelta(days=days), time(), self.zone).astimezone(UTC)
