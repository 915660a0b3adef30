# SPDX-License-Identifier: MIT
"""How far the roll-out is: for whom processing time is on, who uses it, by company and by service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from processing_time.model import ALL_COMPANIES, SourceUnavailable
from processing_time.reports.document import Answer, Table
from processing_time.reports.language import Language
from processing_time.reports.monthly_figures import Counted, Id
from processing_time.reports.monthly_rollup import Rollup
from processing_time.reports.weekly_figures import SHARE
from processing_time.sources.scope import Service
from processing_time.store_reports import Period, Rolled

SHOWN = 30
"""How many companies and services are listed."""


@dataclass(slots=True)
class _Company:
    with_processing_time: int = 0
    on: int = 0
    used: int = 0


class Adoption:
    """The roll-out in a month.

    :param history: the rows of earlier months.
    """

    def __init__(self, rollup: Rollup, history: Sequence[Rolled], language: Language) -> None:
        self._rollup, self._language = rollup, language
        before = Period.MONTHLY.step(rollup.month, -1)
        self._before = {
            row.company_id: row
            for row in history
            if row.metric == SHARE and row.period_start == before and row.company_id != ALL_COMPANIES
        }

    def progress(self) -> tuple[Answer, str]:
        """The checklist's answer: no, when a company has stopped; what it rests on."""
        counted = self._counted()
        if counted is None:
            return Answer.UNKNOWN, self._language.say(
                "The feature flags are not known, so neither is for whom it is switched on."
            )
        companies = self._companies(counted)
        users = {c for c, own in companies.items() if own.used}
        on, used = (sum(getattr(own, name) for own in companies.values()) for name in ("on", "used"))
        part = sum(use.appointments for use in counted.by_company(counted.eligible_ids()).values())
        texts = [
            self._stage(),
            self._language.say(
                "{used} of {on} services with the feature switched on were booked, in {companies}; {share} of all appointments.",
                used=used,
                on=on,
                companies=self._language.count("{n} company", "{n} companies", len(users)),
                share=self._share(part, counted.appointments),
            ),
        ]
        earlier = {c for c, row in self._before.items() if row.numerator}
        new, gone = sorted(users - earlier), sorted(earlier - users)
        if self._before and new:
            texts.append(self._language.say("New companies: {ids}.", ids=_listed(new)))
        if gone:
            texts.append(self._language.say("Companies that no longer use it: {ids}.", ids=_listed(gone)))
        return Answer.NO if gone else Answer.YES, " ".join(texts)

    def tables(self) -> tuple[Table, ...]:
        """Roll-out by company and by service, the most appointments first."""
        counted = self._counted()
        return () if counted is None else (self._by_company(counted), self._by_service(counted))

    def _counted(self) -> Counted | None:
        counted = self._rollup.counted
        return None if counted is None or isinstance(counted.eligible, SourceUnavailable) else counted

    def _stage(self) -> str:
        flags = self._rollup.flags
        if flags is None or not flags.configured:
            return self._language.say(
                "No feature flags are read: every service with processing time counts as switched on."
            )
        if not flags.enabled:
            return self._language.count(
                "Switched off but for {n} service.",
                "Switched off but for {n} services.",
                len(flags.service_whitelist),
            )
        if flags.company_whitelist:
            return self._language.count(
                "Switched on for {n} company.", "Switched on for {n} companies.", len(flags.company_whitelist)
            )
        return self._language.say("Switched on for all companies.")

    def _companies(self, counted: Counted) -> dict[int, _Company]:
        on = set(counted.eligible_ids())
        found: dict[int, _Company] = {}
        for service in counted.services.values():
            company_id = counted.company(service.id)
            if service.has_processing_time and company_id is not None:
                own = found.setdefault(company_id, _Company())
                own.with_processing_time += 1
                own.on += service.id in on
                own.used += service.id in on and service.id in counted.uses
        return found

    def _by_company(self, counted: Counted) -> Table:
        say, number = self._language.say, self._language.number
        on, whole = counted.by_company(counted.eligible_ids()), counted.by_company(counted.services)
        parts = {c: (on[c].appointments if c in on else 0, use.appointments) for c, use in whole.items()}
        companies = self._companies(counted).items()
        rows = []
        for company_id, own in sorted(companies, key=lambda c: (-parts.get(c[0], (0, 0))[0], c[0])):
            part = parts.get(company_id, (0, 0))
            numbers = (own.with_processing_time, own.on, own.used, part[0])
            rows.append(
                (str(company_id), *map(number, numbers), self._share(*part), self._earlier(company_id))
            )
        head = (
            *(say("Company"), say("Services with processing time"), say("Switched on"), say("Booked")),
            *(say("Appointments"), say("Share"), say("Month before")),
        )
        return self._table(say("Roll-out by company"), head, rows, frozenset(range(1, 7)))

    def _by_service(self, counted: Counted) -> Table:
        say, number = self._language.say, self._language.number
        on = set(counted.eligible_ids())
        services = [s for s in counted.services.values() if s.has_processing_time]
        rows = []
        for service in sorted(services, key=lambda s: (-_booked(counted, s), str(s.id))):
            use = counted.uses.get(service.id)
            rows.append(
                (
                    self._rollup.names.get(service.id, str(service.id)),
                    "–" if service.company_id is None else str(service.company_id),
                    say("yes") if service.id in on else say("no"),
                    number(_booked(counted, service)),
                    self._share(use.with_phases, use.appointments) if use else "–",
                )
            )
        head = (say("Service"), say("Company"), say("Switched on"), say("Appointments"), say("With phases"))
        return self._table(say("Roll-out by service"), head, rows, frozenset({3, 4}))

    def _table(
        self, title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], numeric: frozenset[int]
    ) -> Table:
        """The first rows of a table, and how many are left out."""
        left = len(rows) - SHOWN
        note = self._language.say("and {n} more", n=self._language.number(left)) if left > 0 else ""
        empty = self._language.say("No service has processing time.")
        return Table(title, head, tuple(rows[:SHOWN]), numeric, empty, note)

    def _share(self, part: int, whole: int) -> str:
        return self._language.quantity(100 * part / whole, "%", 1) if whole else "–"

    def _earlier(self, company_id: int) -> str:
        row = self._before.get(company_id)
        return self._language.quantity(row.value, "%", 1) if row and row.value is not None else "–"


def _booked(counted: Counted, service: Service) -> int:
    use = counted.uses.get(service.id)
    return use.appointments if use else 0


def _listed(ids: Sequence[Id]) -> str:
    shown = ", ".join(map(str, ids[:SHOWN]))
    return f"{shown} …" if len(ids) > SHOWN else shown
