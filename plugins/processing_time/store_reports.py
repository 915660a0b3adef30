# SPDX-License-Identifier: MIT
"""The tables ``weekly`` and ``monthly``: what each metric came to in a period, beside the period before.

Writing a period replaces what it held and tells the later ones anew what came before them, so that periods may be
written in any order and as often as one likes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from processing_time.outbox import Notification, Outbox, enqueue
from processing_time.store_session import Session, fetch


class Trend(StrEnum):
    """Where a metric goes; ``too_few`` when there is not enough to say."""

    UP = "up"
    DOWN = "down"
    FLAT = "flat"
    TOO_FEW = "too_few"


class Period(StrEnum):
    """A table of periods. A week begins on a Monday, a month on its first."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"

    def step(self, start: date, count: int) -> date:
        """The start of the period that lies ``count`` periods later, or earlier."""
        if self is Period.WEEKLY:
            return start + timedelta(weeks=count)
        months = start.year * 12 + start.month - 1 + count
        return date(months // 12, months % 12 + 1, 1)


Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Rolled:
    """A metric of a company (0 for all) in a period.

    :param samples: of how many measurements it is made.
    :param previous_value: that of the period before; None where there is none. The store fills it in, and ``trend``.
    """

    period_start: date
    metric: str
    company_id: int
    value: float | None
    numerator: float | None
    denominator: float | None
    samples: int
    previous_value: float | None = None
    trend: Trend = Trend.TOO_FEW

    @property
    def key(self) -> Key:
        """What it has in common with its rows of other periods."""
        return (self.metric, self.company_id)


History = Sequence[Rolled]
"""The rows of one metric and company, oldest first; periods may be missing."""

_COLUMNS = (
    *("period_start", "metric", "company_id", "value", "numerator", "denominator", "samples"),
    *("previous_value", "trend"),
)
_UPSERT = (
    f"({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))}) ON DUPLICATE KEY UPDATE "
    + ", ".join(f"{name} = VALUES({name})" for name in _COLUMNS[3:])
)


class ReportStore:
    """Our schema as the reports use it. Close it after use, or use it in a ``with``; not for several threads.

    :param connect: gives a fresh DB-API connection of a MySQL driver to the schema.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.session = Session(connect)
        self.outbox = Outbox(self.session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def read(self, period: Period, first: date, last: date) -> list[Rolled]:
        """The rows of the periods that begin from ``first`` to ``last``, oldest first."""
        return self.session.run(lambda cursor: _read(cursor, period, first, last))

    def save(
        self,
        period: Period,
        start: date,
        rows: Sequence[Rolled],
        trend: Callable[[History], Trend],
        *,
        reach: int,
        company_id: int | None = None,
        notifications: Sequence[Notification] = (),
        at: datetime,
    ) -> None:
        """Write a period in place of what it held, refresh what later ones say of it, and owe messages; all or nothing.

        :param start: the period; that of every row.
        :param trend: gives the trend of a history's last row; pure.
        :param reach: how many periods before a row ``trend`` looks at.
        :param company_id: the rows are of this company only, and only its rows are replaced.
        :param at: the present time.
        """

        def write(cursor: Any) -> None:
            cursor.execute(
                f"DELETE FROM {period} WHERE period_start = %s AND (%s IS NULL OR company_id = %s)",  # noqa: S608
                (start, company_id, company_id),
            )
            _write(cursor, period, rows)
            around = _read(cursor, period, period.step(start, -reach), period.step(start, reach))
            _write(cursor, period, _retold(around, period, start, trend, reach))
            enqueue(cursor, notifications, {}, at)

        self.session.run(write, lock=f"rollup.{period}")


def _retold(
    around: Sequence[Rolled], period: Period, start: date, trend: Callable[[History], Trend], reach: int
) -> list[Rolled]:
    """The rows from a period on, with what they say of earlier ones as it is now."""
    histories: Mapping[Key, list[Rolled]] = defaultdict(list)
    for row in around:
        histories[row.key].append(row)
    retold = []
    for history in histories.values():
        values = {row.period_start: row.value for row in history}
        for place, row in enumerate(history):
            if row.period_start < start:
                continue
            first = period.step(row.period_start, -reach)
            seen = [r for r in history[: place + 1] if r.period_start >= first]
            # Of a predecessor that is not kept, the row says itself what it was.
            previous = period.step(row.period_start, -1)
            before = values.get(previous, None if previous == start else row.previous_value)
            retold.append(replace(row, previous_value=before, trend=trend(seen)))
    return retold


def _write(cursor: Any, period: Period, rows: Sequence[Rolled]) -> None:
    cursor.executemany(
        f"INSERT INTO {period} {_UPSERT}",
        [tuple(_plain(getattr(row, name)) for name in _COLUMNS) for row in rows],
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Trend) else value


def _read(cursor: Any, period: Period, first: date, last: date) -> list[Rolled]:
    rows = fetch(
        cursor,
        f"SELECT {', '.join(_COLUMNS)} FROM {period} WHERE period_start >= %s AND period_start <= %s"  # noqa: S608
        " ORDER BY period_start, metric, company_id",
        (first, last),
    )
    return [Rolled(**{**row, "trend": Trend(row["trend"])}) for row in rows]
