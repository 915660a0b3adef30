# SPDX-License-Identifier: MIT
"""Calendar months in the zone that people read. A month is named by its first day, as ``monthly.period_start`` is."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from processing_time.model import Window
from processing_time.store_reports import Period


def month_before(as_of: datetime, zone: ZoneInfo) -> date:
    """The last month that is over at an instant."""
    return Period.MONTHLY.step(_month_of(as_of, zone), -1)


def month_ending(instant: datetime, zone: ZoneInfo) -> date:
    """The month to which belongs what was measured up to an instant: at its last midnight it is still that month."""
    return _month_of(instant - timedelta(seconds=1), zone)


def number_of(month: date) -> int:
    """Months since the year 0, to count with."""
    return month.year * 12 + month.month - 1


def window(month: date, zone: ZoneInfo) -> Window:
    """From its first local midnight to that of the next month: up to an hour more or less than whole days."""
    start, end = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (month, Period.MONTHLY.step(month, 1))
    )
    return Window(start, end)


def _month_of(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date().replace(day=1)
