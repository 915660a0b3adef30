# SPDX-License-Identifier: MIT
"""Fills our schema with a history as long and as wide as one likes: checks, measurements, rollups, alerts, messages."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from processing_time.evaluation import threshold_text
from processing_time.page.lines import months_until
from processing_time.page.overview import watched
from processing_time.settings import Settings
from processing_time.store_session import naive, to_json
from processing_time.timeline import midnight, previous_tick

CHUNK = 200
"""Checks whose measurements one statement makes."""


@dataclass(frozen=True)
class History:
    """What there is.

    :param newest: the `as_of` of the newest check; UTC.
    """

    newest: datetime
    days: int
    companies: int


def fill(connection: Any, history: History, settings: Settings) -> int:
    """Write a history into empty tables; the number of measurements."""
    with closing(connection.cursor()) as cursor:
        ticks = _ticks(history, settings)
        facts = to_json(
            {"mysql": {"today": {"eligible": 400, "with_phases": 398}}, "log": {}, "redis": {"entries": 57}}
        )
        cursor.executemany(
            "INSERT INTO checks (as_of, dag_run_id, state, finished_at, counted, sources, facts)"
            " VALUES (%s, %s, 'ok', %s, TRUE, '{}', %s)",
            [
                (naive(at), f"scheduled__{at.isoformat()}", naive(at + timedelta(minutes=1)), facts)
                for at in ticks
            ],
        )
        cursor.execute(
            "CREATE TEMPORARY TABLE keys_ (metric VARCHAR(80), wide BOOLEAN, base DOUBLE, spread DOUBLE, digits INT,"
            " detail TEXT)"
        )
        cursor.executemany(
            "INSERT INTO keys_ VALUES (%s, %s, %s, %s, %s, %s)",
            [_key(k, settings) for k in watched(settings)],
        )
        cursor.execute("CREATE TEMPORARY TABLE numbers_ (seq INT PRIMARY KEY)")
        cursor.executemany("INSERT INTO numbers_ VALUES (%s)", [(n,) for n in range(history.companies + 1)])
        connection.commit()
        for first in range(0, len(ticks), CHUNK):
            some = ticks[first : first + CHUNK]
            cursor.execute(_SAMPLES, (history.companies, naive(some[0]), naive(some[-1])))
            connection.commit()
        _periods(cursor, history, settings)
        _alerts(cursor, history, settings)
        connection.commit()
        cursor.execute("SELECT COUNT(*) FROM samples")
        return int(cursor.fetchone()[0])


# Values wander by a digest of where they are, so that lines are lines and not noise of one shape.
_SAMPLES = """
INSERT INTO samples (as_of, metric, company_id, window_start, window_end, value, numerator, denominator, state, severity,
                     reason, muted, detail)
SELECT c.as_of, k.metric, s.seq, c.as_of - INTERVAL 1 DAY, c.as_of,
       ROUND(k.base + k.spread * MOD(CRC32(CONCAT(c.as_of, k.metric, s.seq)), 1000) / 1000, k.digits), 398, 400, 'ok', NULL, '', '',
       JSON_SET(k.detail, '$.last_24h', 0, '$.counts.initial', HOUR(c.as_of) * 9, '$.counts.processing', HOUR(c.as_of) * 8,
                '$.counts.final', HOUR(c.as_of) * 7)
FROM checks AS c CROSS JOIN keys_ AS k CROSS JOIN numbers_ AS s
WHERE s.seq <= IF(k.wide, %s, 0) AND c.as_of BETWEEN %s AND %s
"""


def _ticks(history: History, settings: Settings) -> list[datetime]:
    start = history.newest - timedelta(days=history.days)
    ticks, at = [], history.newest
    while at > start:
        ticks.append(at)
        at = previous_tick(settings.schedule.health_check, settings.zone, at)
    return ticks[::-1]


def _key(key: str, settings: Settings) -> tuple[str, bool, float, float, int, str]:
    metric = settings.metrics.get(key)
    usual = {"rate": (99.1, 0.89, 4), "mean": (20, 12, 3), "deviation": (3, 4, 3), "burn_rate": (0.2, 0.6, 4)}
    shape = usual.get(metric.kind if metric else "count", (1, 3, 0))
    detail = {"threshold": threshold_text(settings.rule(key)), "counts": {}}
    return key, bool(metric and metric.source == "mysql"), *shape, to_json(detail)


def _periods(cursor: Any, history: History, settings: Settings) -> None:
    monday = history.newest.date() - timedelta(days=history.newest.weekday())
    starts = {
        "monthly": months_until(history.newest, settings.zone)[:-1],
        "weekly": [monday - timedelta(weeks=n) for n in range(1, 53)],
    }
    for table, days in starts.items():
        cursor.executemany(
            f"INSERT INTO {table} SELECT %s, metric, s.seq, ROUND(base + spread * MOD(CRC32(CONCAT(%s, metric, s.seq)), 1000) / 1000,"
            " digits), 398, 400, 300, base, 'flat' FROM keys_ CROSS JOIN numbers_ AS s WHERE s.seq <= IF(wide, %s, 0)",
            [(day, day, history.companies) for day in days],
        )


def _alerts(cursor: Any, history: History, settings: Settings) -> None:
    """One a day for all companies, each an hour long, and three that stand open."""
    keys = watched(settings)
    rows = []
    for number in range(history.days + 3):
        past = number >= 3
        opened = history.newest - timedelta(days=number - 2 if past else 0, hours=0 if past else number)
        rows.append(
            (
                *(keys[number % len(keys)], "high", 1, "resolved" if past else "firing"),
                *(naive(opened), naive(opened if past else history.newest), naive(opened), naive(opened)),
                *(
                    naive(opened + timedelta(hours=1)) if past else None,
                    "C0HIGH00001",
                    f"{1.7e9 + number:.6f}",
                ),
            )
        )
    cursor.executemany(
        "INSERT INTO alerts (rule, company_id, severity, level, state, opened_at, last_seen_at, last_counted_at,"
        " last_told_at, resolved_at, slack_channel, slack_ts, bad_checks, good_checks, critical_checks, subjects,"
        " acknowledgers) VALUES (%s, 0, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, 0, 0, '[]', '[]')",
        rows,
    )
    cursor.execute(
        "INSERT INTO notifications (alert_id, kind, dedupe_key, route, place, payload, created_at, delivered_at)"
        " SELECT id, 'opened', CONCAT('opened.', id), 'high', 'root', '{}', opened_at, opened_at FROM alerts"
    )


def newest(settings: Settings, day: date) -> datetime:
    """The last check of a day."""
    end = midnight(datetime(day.year, day.month, day.day, 12, tzinfo=UTC), settings.zone, -1)
    return previous_tick(settings.schedule.health_check, settings.zone, end)
