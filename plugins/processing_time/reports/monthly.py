# SPDX-License-Identifier: MIT
"""The monthly rollup from end to end: read, put together, keep. Months may come in any order and as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from processing_time.evaluation import flags_doubt
from processing_time.model import SourceUnavailable
from processing_time.outbox import Notification
from processing_time.reports import monthly_history, monthly_rows, trend
from processing_time.reports.monthly_period import month_before, window
from processing_time.reports.monthly_rollup import Rollup, combine
from processing_time.reports.monthly_samples import roll_up, rolled_keys
from processing_time.settings import Settings
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.store_reports import Period, ReportStore, Rolled
from processing_time.timeline import Timeline

Flags = FeatureFlags | SourceUnavailable


def measure(
    store: ReportStore,
    connect: Callable[[], Any],
    settings: Settings,
    as_of: datetime,
    present: datetime,
    flags_now: Callable[[], Flags],
) -> tuple[Rollup, list[Rolled]]:
    """The last month that is over at an instant, and the rows of the twelve months before it, oldest first.

    :param connect: gives a connection to the application's database.
    :param present: the present time; tells a rollup made late.
    :param flags_now: the feature flags of now, for a month without a check that recorded them.
    :raises SourceUnavailable: when the application's database cannot be read.
    :raises StoreError: when the store cannot be used.
    """
    month = month_before(as_of, settings.zone)
    period = window(month, settings.zone)
    recorded = monthly_history.flags(store.session, period)
    flags = FeatureFlags.from_json(recorded[-1][1]) if recorded else flags_now()
    known = None if isinstance(flags, SourceUnavailable) else flags
    timeline = Timeline(period.end, settings.zone, settings.application_zone, period.start)
    doubt = flags_doubt(known.to_json(), recorded, period, timeline, settings, present) if known else ""
    rows = monthly_rows.read(connect, settings, period, flags, settings.schedule.statement_timeout)
    readings = monthly_history.readings(store.session, period, rolled_keys(settings))
    kept = store.read(Period.MONTHLY, Period.MONTHLY.step(month, -trend.MONTHS), month)
    rollup = combine(
        month,
        rows,
        roll_up(month, readings, settings),
        [row for row in kept if row.period_start == month],
        known,
        doubt,
        settings,
    )
    return rollup, [row for row in kept if row.period_start < month]


def keep(store: ReportStore, rollup: Rollup, notifications: Sequence[Notification], at: datetime) -> None:
    """Write the month, refresh what the months after it say of it, and owe messages; all or nothing.

    :param at: the present time.
    """
    store.save(
        Period.MONTHLY,
        rollup.month,
        rollup.rows,
        trend.trend,
        reach=trend.MONTHS - 1,
        notifications=notifications,
        at=at,
    )
