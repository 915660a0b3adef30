# SPDX-License-Identifier: MIT
"""Removes what has been kept long enough: samples of whole months once those are rolled up, and what is settled.

``checks`` and ``sightings`` stay: they are small, and they say which feature flags held when and what has ever been
measured, which later checks and rollups ask. Nothing of an alert that is not resolved goes, and no message that is owed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from processing_time.model import ALL_COMPANIES
from processing_time.reports import monthly_history
from processing_time.reports.monthly_period import month_before, month_ending, window
from processing_time.reports.monthly_samples import roll_up, rolled_keys
from processing_time.settings import Settings
from processing_time.store_reports import Period, ReportStore
from processing_time.store_session import Session, aware, fetch, naive

BATCH = 5000
"""Rows that one transaction removes, so that no check waits for it."""

_SETTLED: Mapping[str, str] = {
    # The messages of an open alert say where its thread is told of.
    "notifications": "DELETE FROM notifications WHERE delivered_at < %s AND (alert_id IS NULL OR NOT EXISTS"
    " (SELECT 1 FROM alerts AS a WHERE a.id = alert_id AND a.is_open = 1)) ORDER BY id LIMIT %s",
    "alerts": "DELETE FROM alerts WHERE resolved_at < %s AND is_open IS NULL AND NOT EXISTS"
    " (SELECT 1 FROM notifications AS n WHERE n.alert_id = alerts.id AND n.delivered_at IS NULL)"
    " ORDER BY id LIMIT %s",
    "actions": "DELETE FROM actions WHERE finished_at < %s ORDER BY id LIMIT %s",
}


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows went.

    :param held_back: why samples that are old enough are still there; empty when none are.
    """

    samples: int
    notifications: int
    alerts: int
    actions: int
    held_back: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values for XCom."""
        return asdict(self)


def remove(store: ReportStore, settings: Settings, as_of: datetime) -> Removed:
    """Remove what is older than the settings keep it, counted back from ``as_of``; in batches, oldest first.

    :raises StoreError: when the store cannot be used; what is removed by then is.
    """
    keep = settings.reports
    samples, held_back = _samples(store, settings, as_of)
    ages = {
        "notifications": keep.keep_notifications,
        "alerts": keep.keep_alerts,
        "actions": keep.keep_actions,
    }
    gone = {
        table: _batches(store.session, _SETTLED[table], naive(as_of - age)) for table, age in ages.items()
    }
    return Removed(samples, **gone, held_back=held_back)


def _samples(store: ReportStore, settings: Settings, as_of: datetime) -> tuple[int, str]:
    """Remove the samples of whole months, up to the first that is not rolled up."""
    zone = settings.zone
    end = window(month_before(as_of - settings.reports.keep_samples, zone), zone).end
    removed = 0
    while (oldest := _oldest(store.session)) is not None and oldest <= end:
        month = month_ending(oldest, zone)
        if held_back := _not_rolled_up(store, settings, month):
            return removed, held_back
        until = naive(window(month, zone).end)
        sql = "DELETE FROM samples WHERE as_of <= %s ORDER BY as_of, metric, company_id LIMIT %s"
        removed += _batches(store.session, sql, until)
    return removed, ""


def _oldest(session: Session) -> datetime | None:
    (row,) = session.run(lambda cursor: fetch(cursor, "SELECT MIN(as_of) AS as_of FROM samples"))
    return aware(row["as_of"]) if row["as_of"] else None


def _not_rolled_up(store: ReportStore, settings: Settings, month: date) -> str:
    """Why the samples of a month are still needed; empty when its rollup holds them all."""
    rolled = {row.key: row.samples for row in store.read(Period.MONTHLY, month, month)}
    if not rolled:
        return f"{month:%Y-%m} is not rolled up: backfill the month, its samples are kept until then"
    there = monthly_history.readings(store.session, window(month, settings.zone), rolled_keys(settings))
    for row in roll_up(month, there, settings).rows:
        if row.company_id == ALL_COMPANIES and row.samples > rolled.get(row.key, 0):
            return (
                f"{month:%Y-%m} has samples of {row.metric} that came after its rollup: backfill the month, they are kept"
                " until then"
            )
    return ""


def _batches(session: Session, sql: str, before: datetime | None) -> int:
    """Run a DELETE until it finds fewer rows than a batch; how many went."""
    removed = 0
    while True:

        def write(cursor: Any) -> int:
            return int(cursor.execute(sql, (before, BATCH)) or cursor.rowcount)

        gone = session.run(write)
        removed += gone
        if gone < BATCH:
            return removed
