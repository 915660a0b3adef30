# SPDX-License-Identifier: MIT
"""The weekly and monthly reports as tables: a period beside the one before, with its trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from processing_time.page.overview import watched
from processing_time.page.words import quantity, title, unit
from processing_time.settings import Settings
from processing_time.store_page import PageStore
from processing_time.store_reports import Period, Rolled, Trend

LISTED: Final = {Period.WEEKLY: 26, Period.MONTHLY: 25}
ARROWS: Final = {Trend.UP: "↗", Trend.DOWN: "↘", Trend.FLAT: "→", Trend.TOO_FEW: ""}
NAMES: Final = {Trend.TOO_FEW: "too few to say"}


@dataclass(frozen=True, slots=True)
class Line:
    """A metric in the period."""

    title: str
    value: str
    before: str
    trend: str
    samples: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One kind of report.

    :param name: ``weekly`` or ``monthly``; also the name of the query parameter.
    :param period: which one is shown, in words; empty when none is kept.
    :param others: (parameter, words, whether it is the one that is shown), newest first.
    :param page: the address of the whole report; empty where pages are not published.
    """

    name: str
    period: str
    lines: tuple[Line, ...]
    others: tuple[tuple[str, str, bool], ...]
    page: str


def read(store: PageStore, settings: Settings, chosen: dict[Period, date | None]) -> list[Shown]:
    """Both kinds of report.

    :param chosen: the period of each kind; None for the newest.
    :raises StoreError: when the store cannot be used.
    """
    return [
        shown(kind, start, *store.periods(kind, start, LISTED[kind]), settings)
        for kind, start in chosen.items()
    ]


def shown(
    kind: Period, start: date | None, starts: Sequence[date], rows: Sequence[Rolled], settings: Settings
) -> Shown:
    """One kind of report, out of rows of the store.

    :param start: the period that was asked for; None for the newest.
    :param starts: the periods that are kept, newest first.
    """
    start = start or next(iter(starts), None)
    if start is None:
        return Shown(kind, "", (), (), "")
    order = {key: place for place, key in enumerate(watched(settings))}
    rows = sorted(rows, key=lambda row: (order.get(row.metric, len(order)), row.metric))
    others = tuple((day.isoformat(), words(kind, day), day == start) for day in starts)
    return Shown(
        kind,
        words(kind, start),
        tuple(_line(row, settings) for row in rows),
        others,
        _page(kind, start, settings),
    )


def words(kind: Period, start: date) -> str:
    """A period as people read it."""
    if kind is Period.MONTHLY:
        return f"{start:%B %Y}"
    return f"{start:%d %b} – {start + timedelta(days=6):%d %b %Y}"


def _line(row: Rolled, settings: Settings) -> Line:
    of = unit(row.metric, settings)
    return Line(
        title(row.metric, settings),
        quantity(row.value, of),
        quantity(row.previous_value, of),
        f"{ARROWS[row.trend]} {NAMES.get(row.trend, str(row.trend))}".strip(),
        row.samples,
    )


def _page(kind: Period, start: date, settings: Settings) -> str:
    base = settings.reports.html_url
    if not base:
        return ""
    name = f"weekly-{start.isoformat()}" if kind is Period.WEEKLY else f"monthly-{start:%Y-%m}"
    return f"{base.rstrip('/')}/{settings.dag_id(name)}.html"
