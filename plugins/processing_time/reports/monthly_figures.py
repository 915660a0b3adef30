# SPDX-License-Identifier: MIT
"""From what was counted of a month's appointments to the samples of the metrics, as a check would measure them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from processing_time.burn_rate import Count
from processing_time.model import ALL_COMPANIES, Sample, SourceUnavailable, Window
from processing_time.settings import Metric
from processing_time.sources import distribution, tally
from processing_time.sources.scope import Service
from processing_time.sources.snapshot import QueryFault, Row

Id = int | str


@dataclass(slots=True)
class Use:
    """What was created in the month: appointments, those of them that are or have something, their phases by type."""

    appointments: int = 0
    synced: int = 0
    with_phases: int = 0
    with_own_phases: int = 0
    with_free_phases: int = 0
    phases: Counter[str] = field(default_factory=Counter)

    def add(self, other: Use) -> None:
        """Count those of ``other`` as well."""
        for name in (f.name for f in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Counted:
    """Everything that is known of a month's appointments.

    :param services: those that are not deleted.
    :param eligible: the ids of those that processing time is on for, or why nobody knows.
    :param uses: by service; None for appointments without one that is there.
    :param overlapping: bookings inside a phase that leaves the staff free, by the company of that phase and for all.
    :param without_sync: why no sync state is known; empty when it is.
    """

    services: Mapping[Id, Service]
    eligible: Sequence[Id] | SourceUnavailable
    uses: Mapping[Id | None, Use]
    overlapping: Counter[int] = field(default_factory=Counter)
    without_sync: str = ""

    @property
    def appointments(self) -> int:
        """All that were created in the month."""
        return sum(use.appointments for use in self.uses.values())

    def eligible_ids(self) -> Sequence[Id]:
        """The eligible services; raises QueryFault when nobody knows them."""
        if isinstance(self.eligible, SourceUnavailable):
            raise QueryFault(str(self.eligible))
        return self.eligible

    def company(self, service_id: Id | None) -> int | None:
        """The company of a service."""
        service = self.services.get(service_id) if service_id is not None else None
        return None if service is None or service.company_id is None else int(service.company_id)

    def by_company(self, services: Iterable[Id]) -> dict[int | None, Use]:
        """What the services came to, by company; None for services without one."""
        found: dict[int | None, Use] = defaultdict(Use)
        for id_ in services:
            if id_ in self.uses:
                found[self.company(id_)].add(self.uses[id_])
        return found


Figure = Callable[[str, Metric, Window, Counted], list[Sample]]


def tallied(
    key: str, metric: Metric, window: Window, columns: Sequence[str], rows: Iterable[Row]
) -> list[Sample]:
    """The samples of rows as a metric's file gives them; of an error budget, how fast it burned over the month.

    :raises QueryFault: when a column is missing.
    """
    if metric.budget is None:
        return tally.samples(key, metric, window, columns, rows, {})
    counted = tally.samples(key, metric.model_copy(update={"kind": "rate"}), window, columns, rows, {})
    burns = [Count(int(s.numerator or 0), int(s.denominator or 0)).burn(metric.budget) for s in counted]
    return [replace(s, value=burn if s.denominator else None) for s, burn in zip(counted, burns, strict=True)]


def _with_phases(key: str, metric: Metric, window: Window, counted: Counted) -> list[Sample]:
    return _part(key, metric, window, counted, lambda use: use.with_phases)


def _without_phases(key: str, metric: Metric, window: Window, counted: Counted) -> list[Sample]:
    return _part(key, metric, window, counted, lambda use: use.appointments - use.with_phases)


def _synced(key: str, metric: Metric, window: Window, counted: Counted) -> list[Sample]:
    if counted.without_sync:
        raise QueryFault(counted.without_sync)
    return _part(key, metric, window, counted, lambda use: use.synced)


def _not_synced(key: str, metric: Metric, window: Window, counted: Counted) -> list[Sample]:
    if counted.without_sync:
        raise QueryFault(counted.without_sync)
    # The month is over: what is not synced by now is not under way any more.
    return _part(key, metric, window, counted, lambda use: use.appointments - use.synced)


def _part(
    key: str, metric: Metric, window: Window, counted: Counted, part: Callable[[Use], int]
) -> list[Sample]:
    """A part of the eligible appointments."""
    uses = counted.by_company(counted.eligible_ids())
    rows = [(company_id, part(use), use.appointments) for company_id, use in uses.items()]
    return tallied(key, metric, window, tally.REQUIRED, rows)


def _stale(key: str, metric: Metric, window: Window, counted: Counted) -> list[Sample]:
    without = [id_ for id_, service in counted.services.items() if not service.has_processing_time]
    stale = counted.by_company(without)
    rows = [
        (company_id, stale[company_id].with_own_phases if company_id in stale else 0, use.with_own_phases)
        for company_id, use in counted.by_company(counted.services).items()
    ]
    return tallied(key, metric, window, tally.REQUIRED, rows)


def _distribution(key: str, _: Metric, window: Window, counted: Counted) -> list[Sample]:
    uses = {id_: counted.uses[id_] for id_ in counted.eligible_ids() if id_ in counted.uses}
    appointments = [(id_, use.appointments, use.with_phases) for id_, use in uses.items()]
    phases = [(id_, type_, n) for id_, use in uses.items() for type_, n in use.phases.items() if n]
    return distribution.samples(key, window, counted.services, appointments, phases, {})


def _overlapping(key: str, _: Metric, window: Window, counted: Counted) -> list[Sample]:
    outer: Counter[int] = Counter()
    for service_id, use in counted.uses.items():
        for company_id in {ALL_COMPANIES, counted.company(service_id) or ALL_COMPANIES}:
            outer[company_id] += use.with_free_phases
    inner = counted.overlapping
    return [
        Sample(key, window, c, value=inner[c], numerator=inner[c], denominator=outer[c])
        for c in sorted({ALL_COMPANIES, *+outer})
    ]


FIGURES: Mapping[str, Figure] = {
    "phase_creation_success_rate": _with_phases,
    "phase_creation_burn_rate": _without_phases,
    "calcom_sync_success_rate": _synced,
    "calcom_sync_burn_rate": _not_synced,
    "orphaned_appointments": _without_phases,
    "stale_phases": _stale,
    "phase_distribution": _distribution,
    "overlapping_bookings": _overlapping,
}
"""By metric, how it comes out of what was counted; a metric of the user's own has only its file."""
