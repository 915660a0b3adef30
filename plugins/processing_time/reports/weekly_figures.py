# SPDX-License-Identifier: MIT
"""From what was read to the figures of a week: every metric beside the week before, and who uses the feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from processing_time.model import ALL_COMPANIES, Alert, Loss, Sample, Window
from processing_time.reports.monthly_figures import FIGURES, Counted, Id
from processing_time.reports.weekly_log import Measured
from processing_time.reports.weekly_period import DAYS, Week
from processing_time.reports.weekly_rows import Rows
from processing_time.reports.weekly_trend import compare
from processing_time.reports.weekly_watch import Blind
from processing_time.settings import Settings
from processing_time.sources.snapshot import QueryFault
from processing_time.store_reports import Rolled

ADOPTION = "service_adoption"
"""Services that had appointments, of those that may use processing time, %."""
SHARE = "appointment_share"
"""Appointments with processing time, of all, %."""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Adoption:
    """Which services use processing time: those that had appointments, and which are new to it or gone from it."""

    used: frozenset[Id]
    new: frozenset[Id]
    dropped: frozenset[Id]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a weekly report says.

    :param rows: what the application's rows told.
    :param company_id: the only company that it is about; None for all.
    :param measured: by metric and company, this week.
    :param before: the same of the week before, as it was kept or as it is measured now.
    :param doubts: what else is to be known about how it was counted.
    """

    week: Week
    rows: Rows
    company_id: int | None
    measured: Mapping[Key, Measured]
    before: Mapping[Key, Rolled]
    alerts: Sequence[Alert]
    blind: Sequence[Blind]
    watched: bool
    doubts: tuple[str, ...] = ()

    @property
    def company(self) -> int:
        """The company whose row speaks for the report."""
        return self.company_id or ALL_COMPANIES

    def sample(self, key: str) -> Sample:
        """What was measured of a metric this week."""
        blank = Sample(key, self.week.window)
        if (key, self.company) in self.measured:
            return self.measured[key, self.company].sample
        return blank.lost(Loss.LOST, "no appointments of this company") if self.company_id else blank

    def previous(self, key: str) -> Rolled | None:
        """The row of the week before."""
        return self.before.get((key, self.company))

    def row(self, key: str) -> Rolled | None:
        """This week's row of a metric, with what the week before was not filled in."""
        measured = self.measured.get((key, self.company))
        return None if measured is None else rolled(self.week.first, measured)

    def rolled(self, kept: Sequence[Rolled], settings: Settings) -> list[Rolled]:
        """The rows to keep, with what the week before was.

        :param kept: the rows of this week that are there already: what cannot be measured any more stays as it was.
        """
        gone = {metric for (metric, _), measured in self.measured.items() if measured.sample.loss}
        if self._removed(kept):
            gone |= {*FIGURES, ADOPTION, SHARE}
        rows = {row.key: row for row in kept if row.metric in gone}
        for key, measured in self.measured.items():
            rows.setdefault(key, _beside(rolled(self.week.first, measured), self.before.get(key), settings))
        return [row for key, row in rows.items() if self.company_id in (None, key[1])]

    def _removed(self, kept: Sequence[Rolled]) -> bool:
        """Whether the application no longer holds the appointments that it held when this week was kept."""
        if self.rows.counted[1].appointments:
            return False
        return any(row.denominator for row in kept if row.metric == SHARE)

    def about(self, company_id: int | None) -> bool:
        """Whether something of a company belongs into the report."""
        return self.company_id in (None, company_id)

    @property
    def days(self) -> tuple[Counted, ...]:
        """What was counted on each day of this week."""
        return self.rows.days[DAYS:]

    def adoption(self) -> Adoption | None:
        """Who uses processing time; None when nobody can say."""
        try:
            earlier, now = (
                frozenset(s for s in used(counted) if self.about(counted.company(s)))
                for counted in self.rows.counted
            )
        except QueryFault:
            return None
        return Adoption(now, now - earlier, earlier - now)


def used(counted: Counted) -> frozenset[Id]:
    """The eligible services that had appointments; raises QueryFault when nobody knows who is eligible."""
    return frozenset(
        id_ for id_ in counted.eligible_ids() if id_ in counted.uses and counted.uses[id_].appointments
    )


def measure(counted: Counted, window: Window, settings: Settings) -> list[Sample]:
    """Every metric that comes from the rows; one that cannot be measured says why."""
    keys = [key for key in settings.enabled("mysql") if key in FIGURES]
    samples = [sample for key in keys for sample in _samples(key, counted, window, settings)]
    return [*samples, *adoption_rates(counted, window)]


def rolled(first: date, measured: Measured) -> Rolled:
    """A measurement as a row of its week."""
    sample = measured.sample
    return Rolled(
        first,
        sample.metric,
        sample.company_id,
        sample.value,
        sample.numerator,
        sample.denominator,
        measured.samples,
    )


def day(counted: Counted, key: str, window: Window, company: int, settings: Settings) -> Sample | None:
    """A metric of a company on one day; None where there was nothing to count, or nobody can say."""
    try:
        samples = FIGURES[key](key, settings.metrics[key], window, counted)
    except QueryFault:
        return None
    return next((s for s in samples if s.company_id == company and s.denominator), None)


def share(counted: Counted, window: Window, company: int) -> Sample | None:
    """The share of a company's appointments that have processing time, on one day; None where there were none."""
    found = (s for s in adoption_rates(counted, window) if (s.metric, s.company_id) == (SHARE, company))
    return next((s for s in found if s.denominator), None)


def _samples(key: str, counted: Counted, window: Window, settings: Settings) -> list[Sample]:
    try:
        return FIGURES[key](key, settings.metrics[key], window, counted)
    except QueryFault as fault:
        return [Sample(key, window).lost(Loss.LOST, str(fault))]


def adoption_rates(counted: Counted, window: Window) -> Iterator[Sample]:
    """How many of the eligible services were used, and their share of all appointments; by company too."""
    try:
        eligible, in_use = counted.eligible_ids(), used(counted)
    except QueryFault as fault:
        for key in (ADOPTION, SHARE):
            yield Sample(key, window).lost(Loss.LOST, str(fault))
        return
    company_ids = {counted.company(id_) for id_ in eligible} - {None}
    for company_id in (ALL_COMPANIES, *sorted(c for c in company_ids if c is not None)):
        own = [s for s in eligible if company_id in (ALL_COMPANIES, counted.company(s))]
        all_of_it = [u for s, u in counted.uses.items() if company_id in (ALL_COMPANIES, counted.company(s))]
        split = sum(counted.uses[s].appointments for s in own if s in counted.uses)
        yield _rate(ADOPTION, window, company_id, len(in_use & set(own)), len(own))
        yield _rate(SHARE, window, company_id, split, sum(use.appointments for use in all_of_it))


def _rate(key: str, window: Window, company_id: int, numerator: int, denominator: int) -> Sample:
    value = 100 * numerator / denominator if denominator else None
    return Sample(key, window, company_id, value, numerator, denominator)


def _beside(row: Rolled, before: Rolled | None, settings: Settings) -> Rolled:
    if before is None:
        return row
    return replace(row, previous_value=before.value, trend=compare(row, before, settings))
