# SPDX-License-Identifier: MIT
"""The companies as a table: what the newest check found about each, the worst first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from processing_time.model import WORST_FIRST, State, Verdict, figure, worst
from processing_time.page.overview import watched
from processing_time.page.status import Status, status
from processing_time.page.words import quantity, title, unit
from processing_time.settings import Settings
from processing_time.store_page import PageStore

SHOWN = 500
"""More companies than this are left out of the page, the best ones."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one metric says about a company; without a state where it says nothing."""

    text: str = "–"
    state: State | None = None
    value: float | None = None
    counts: str = ""


@dataclass(frozen=True, slots=True)
class Company:
    """A row. ``state`` is the worst of its cells."""

    id: int
    state: State
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class CompaniesPage:
    """The table.

    :param heads: key and title of each column.
    :param left_out: how many companies are not in it.
    """

    status: Status
    heads: tuple[tuple[str, str], ...]
    rows: tuple[Company, ...]
    left_out: int


def read(store: PageStore, settings: Settings, present: datetime) -> CompaniesPage:
    """The page as it is at the present time.

    :raises StoreError: when the store cannot be used.
    """
    check, verdicts = store.companies()
    now = status(check, store.newest(watched(settings)).verdicts, settings, present)
    keys, rows = table(verdicts, settings)
    heads = tuple((key, title(key, settings)) for key in keys)
    return CompaniesPage(now, heads, tuple(rows[:SHOWN]), max(0, len(rows) - SHOWN))


def table(verdicts: Sequence[Verdict], settings: Settings) -> tuple[list[str], list[Company]]:
    """The columns that say something about any company, and a row for each, the worst first."""
    found: dict[int, dict[str, Verdict]] = defaultdict(dict)
    for verdict in verdicts:
        found[verdict.company_id][verdict.metric] = verdict
    keys = [key for key in watched(settings) if any(key in row for row in found.values())]
    rows = [
        Company(
            company,
            worst(v.state for v in row.values()),
            tuple(_cell(row.get(key), settings) for key in keys),
        )
        for company, row in found.items()
    ]
    return keys, sorted(rows, key=lambda row: (WORST_FIRST.index(row.state), row.id))


def _cell(verdict: Verdict | None, settings: Settings) -> Cell:
    if verdict is None:
        return Cell()
    sample = verdict.sample
    counts = ""
    if sample.numerator is not None and sample.denominator is not None and sample.numerator != sample.value:
        counts = f"{figure(sample.numerator)} of {figure(sample.denominator)}"
    return Cell(quantity(sample.value, unit(verdict.metric, settings)), verdict.state, sample.value, counts)
