# SPDX-License-Identifier: MIT
"""What the status page reads of our schema: few queries, each bounded by an index and by what it asks for.

A year of history costs a request nothing: samples are read for seven days, what is older comes from ``monthly``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Self

from processing_time.model import ALL_COMPANIES, Alert, Severity, State, Verdict
from processing_time.store_reports import Period, Rolled, Trend
from processing_time.store_rows import ALERT, SAMPLE, Check, to_alert, to_check, to_verdict
from processing_time.store_session import Session, aware, fetch, naive

INCIDENTS = 500
"""How many alerts, the newest, are marked in the lines."""
COMPANY_ROWS = 20_000
"""How many measurements of single companies are looked at."""
OPEN_ALERTS = 200
"""How many open alerts are listed, the worst first."""

DISTRIBUTION = "phase_distribution"
_ROLLED = tuple(f.name for f in fields(Rolled))


@dataclass(frozen=True, slots=True)
class Point:
    """A value at an instant; None where it could not be measured."""

    at: datetime
    value: float | None
    state: State


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest finished check: what was judged for all companies, and what stands open.

    :param check: None when no check has finished yet.
    :param open_alerts: the worst first, at most :data:`OPEN_ALERTS`.
    :param open_count: how many there are.
    :param owed: messages that Slack has not taken yet.
    :param severities: how many of all that are open have each severity.
    """

    check: Check | None = None
    verdicts: Sequence[Verdict] = ()
    open_alerts: Sequence[Alert] = ()
    open_count: int = 0
    owed: int = 0
    severities: Mapping[Severity, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the first page shows.

    :param runs: the ids of the runs in which the open alerts were last seen, by ``as_of``.
    :param points: of seven days, by metric or rule, oldest first.
    :param months: of 13 months, by metric or rule, oldest first.
    :param incidents: alerts for all companies that were opened meanwhile, newest first.
    :param counts: how many phases of each type a day's checks had found, by ``as_of``; empty where none were counted.
    """

    newest: Newest
    runs: Mapping[datetime, str] = field(default_factory=dict)
    points: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    months: Mapping[str, Sequence[Rolled]] = field(default_factory=dict)
    incidents: Sequence[Alert] = ()
    counts: Sequence[tuple[datetime, Mapping[str, int]]] = ()


class PageStore:
    """Our schema as the status page reads it. Close it after use, or use it in a ``with``; not for several threads.

    Each method reads in one transaction, so that what it gives belongs together.

    :param connect: gives a fresh DB-API connection of a MySQL driver to the schema.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._session = Session(connect)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def newest(self, keys: Sequence[str]) -> Newest:
        """The newest finished check.

        :param keys: the metrics and rules that are asked about.
        :raises StoreError: when the store cannot be used.
        """
        return self._session.run(lambda cursor: _newest(cursor, keys))

    def overview(
        self, keys: Sequence[str], week: datetime, day: Callable[[datetime], datetime], months: Sequence[date]
    ) -> Overview:
        """What the first page shows.

        :param week: where the seven days begin; UTC.
        :param day: gives the beginning of the local day of the newest check; UTC.
        :param months: the first days of the months that are shown, oldest first.
        :raises StoreError: when the store cannot be used.
        """

        def read(cursor: Any) -> Overview:
            newest = _newest(cursor, keys)
            if newest.check is None:
                return Overview(newest)
            return Overview(
                newest=newest,
                runs=_runs(cursor, newest.open_alerts),
                points=_points(cursor, keys, week),
                months=_months(cursor, keys, months),
                incidents=_incidents(cursor, months[0]),
                counts=_counts(cursor, day(newest.check.as_of), newest.check.as_of),
            )

        return self._session.run(read)

    def companies(self) -> tuple[Check | None, list[Verdict]]:
        """What the newest finished check found about single companies, by company.

        :raises StoreError: when the store cannot be used.
        """

        def read(cursor: Any) -> tuple[Check | None, list[Verdict]]:
            check = _check(cursor)
            if check is None:
                return None, []
            rows = fetch(
                cursor,
                f"SELECT {', '.join(SAMPLE)} FROM samples WHERE as_of = %s AND company_id > %s"  # noqa: S608
                " ORDER BY company_id, metric LIMIT %s",
                (naive(check.as_of), ALL_COMPANIES, COMPANY_ROWS),
            )
            return check, [to_verdict(row) for row in rows]

        return self._session.run(read)

    def periods(self, period: Period, start: date | None, count: int) -> tuple[list[date], list[Rolled]]:
        """The newest periods that are kept, newest first, and one of them for all companies.

        :param start: which one; None for the newest.
        :param count: how many are listed at most.
        :raises StoreError: when the store cannot be used.
        """

        def read(cursor: Any) -> tuple[list[date], list[Rolled]]:
            # A loose scan of the primary key: one step for each period, however many rows it has.
            kept = fetch(
                cursor,
                f"SELECT period_start FROM {period} GROUP BY period_start ORDER BY period_start DESC LIMIT %s",  # noqa: S608
                (count,),
            )
            starts = [row["period_start"] for row in kept]
            shown = start or next(iter(starts), None)
            if shown is None:
                return [], []
            rows = fetch(
                cursor,
                f"SELECT {', '.join(_ROLLED)} FROM {period} WHERE period_start = %s AND company_id = %s"  # noqa: S608
                " ORDER BY metric",
                (shown, ALL_COMPANIES),
            )
            return starts, [_rolled(row) for row in rows]

        return self._session.run(read)


def _check(cursor: Any) -> Check | None:
    rows = fetch(
        cursor,
        "SELECT as_of, dag_run_id, state, finished_at, counted, flags, facts FROM checks"
        " WHERE finished_at IS NOT NULL ORDER BY as_of DESC LIMIT 1",
    )
    return to_check(rows[0]) if rows else None


def _newest(cursor: Any, keys: Sequence[str]) -> Newest:
    check = _check(cursor)
    verdicts = []
    if check is not None:
        rows = fetch(
            cursor,
            f"SELECT {', '.join(SAMPLE)} FROM samples"  # noqa: S608
            f" WHERE as_of = %s AND company_id = %s AND metric IN ({_marks(keys)})",
            (naive(check.as_of), ALL_COMPANIES, *keys),
        )
        verdicts = [to_verdict(row) for row in rows]
    alerts = fetch(
        cursor,
        f"SELECT id, {', '.join(ALERT)} FROM alerts WHERE is_open = 1"  # noqa: S608
        " ORDER BY FIELD(severity, 'critical', 'high', 'medium', 'info'), opened_at, id LIMIT %s",
        (OPEN_ALERTS,),
    )
    counts = fetch(
        cursor, "SELECT severity, COUNT(*) AS number FROM alerts WHERE is_open = 1 GROUP BY severity"
    )
    severities = {Severity(row["severity"]): row["number"] for row in counts}
    (owed,) = fetch(cursor, "SELECT COUNT(*) AS number FROM notifications WHERE delivered_at IS NULL")
    listed = [to_alert(row) for row in alerts]
    return Newest(check, verdicts, listed, sum(severities.values()), owed["number"], severities)


def _runs(cursor: Any, alerts: Sequence[Alert]) -> dict[datetime, str]:
    seen = list({naive(alert.last_seen_at) for alert in alerts})
    if not seen:
        return {}
    rows = fetch(
        cursor,
        f"SELECT as_of, dag_run_id FROM checks WHERE as_of IN ({_marks(seen)})",  # noqa: S608
        tuple(seen),
    )
    return {aware(row["as_of"]): row["dag_run_id"] for row in rows}


def _points(cursor: Any, keys: Sequence[str], since: datetime) -> dict[str, list[Point]]:
    rows = fetch(
        cursor,
        "SELECT metric, as_of, value, state FROM samples FORCE INDEX (samples_of_metric)"  # noqa: S608
        f" WHERE metric IN ({_marks(keys)}) AND company_id = %s AND as_of >= %s ORDER BY metric, as_of",
        (*keys, ALL_COMPANIES, naive(since)),
    )
    points: dict[str, list[Point]] = {}
    for row in rows:
        point = Point(aware(row["as_of"]), row["value"], State(row["state"]))
        points.setdefault(row["metric"], []).append(point)
    return points


def _months(cursor: Any, keys: Sequence[str], months: Sequence[date]) -> dict[str, list[Rolled]]:
    rows = fetch(
        cursor,
        f"SELECT {', '.join(_ROLLED)} FROM monthly WHERE period_start IN ({_marks(months)})"  # noqa: S608
        f" AND metric IN ({_marks(keys)}) AND company_id = %s ORDER BY metric, period_start",
        (*months, *keys, ALL_COMPANIES),
    )
    found: dict[str, list[Rolled]] = {}
    for row in rows:
        found.setdefault(row["metric"], []).append(_rolled(row))
    return found


def _incidents(cursor: Any, since: date) -> list[Alert]:
    rows = fetch(
        cursor,
        f"SELECT id, {', '.join(ALERT)} FROM alerts WHERE opened_at >= %s AND company_id = %s"  # noqa: S608
        " ORDER BY opened_at DESC LIMIT %s",
        (since, ALL_COMPANIES, INCIDENTS),
    )
    return [to_alert(row) for row in rows]


def _counts(cursor: Any, start: datetime, end: datetime) -> list[tuple[datetime, Mapping[str, int]]]:
    rows = fetch(
        cursor,
        "SELECT as_of, JSON_EXTRACT(detail, '$.counts') AS counts FROM samples FORCE INDEX (samples_of_metric)"
        " WHERE metric = %s AND company_id = %s AND as_of > %s AND as_of <= %s ORDER BY as_of",
        (DISTRIBUTION, ALL_COMPANIES, naive(start), naive(end)),
    )
    return [(aware(row["as_of"]), json.loads(row["counts"])) for row in rows if row["counts"]]


def _rolled(row: Mapping[str, Any]) -> Rolled:
    return Rolled(**{**row, "trend": Trend(row["trend"])})


def _marks(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
