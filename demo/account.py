# SPDX-License-Identifier: MIT
"""What the stand-in application did, as plain data, and what anybody can count from it.

The generator fills an `Account` while it makes the rows and log lines. The counting below uses neither SQL nor any
code of the monitor, so that the monitor's numbers can be checked against it. All instants are aware and in UTC.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
GRACE = timedelta(seconds=60)
HOUR = timedelta(hours=1)
SYNC_ERRORS = ("error", "failed")

World = Literal["guide", "deployed"]
Happening = Literal[
    "phases_created",
    "phases_failed",
    "phases_update_failed",
    "cache_hit",
    "cache_miss",
    "sync_success",
    "sync_failed",
    "observer_disabled",
    "noise",
]

#: The two lines that say that the observer failed.
FAILURES: tuple[Happening, ...] = ("phases_failed", "phases_update_failed")
_BURSTS: dict[str, tuple[tuple[Happening, ...], timedelta]] = {
    "phase_creation_failures": (FAILURES, timedelta(hours=1)),
    "cache_miss_spike": (("cache_miss",), timedelta(minutes=5)),
    "calcom_sync_failures": (("sync_failed",), timedelta(hours=1)),
}
#: (numerator, denominator); no denominator where there is no population.
Figures = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Company:
    """A company and how many people work there."""

    id: int
    name: str
    staff: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A service; durations in minutes, None where it has no such part. A withdrawn one is soft-deleted."""

    id: str
    company_id: int
    name: str
    duration: int
    initial: int | None = None
    processing: int | None = None
    final: int | None = None
    composite: bool = False
    withdrawn: bool = False
    popularity: int = 1

    @property
    def has_processing_time(self) -> bool:
        """Whether the service is split into phases."""
        return self.processing is not None


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer. None of this may ever reach a message or a log of the monitor."""

    id: int
    company_id: int
    name: str
    email: str
    phone: str


@dataclass(frozen=True, slots=True)
class Phase:
    """One row of appointment_phases."""

    kind: str
    starts_at: datetime
    ends_at: datetime
    staff_required: bool
    segment_key: str | None = None


@dataclass(slots=True)
class Appointment:
    """One row of appointments, with its phases."""

    service: Service
    staff_id: str
    customer: Customer
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
    sync: str | None = "synced"
    deleted_at: datetime | None = None
    phases: tuple[Phase, ...] = ()
    id: int = 0

    @property
    def deleted(self) -> bool:
        """Whether Eloquent would leave it out."""
        return self.deleted_at is not None or self.service.withdrawn


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of a log file. `message` is the first line after the level; `trace` goes on below it."""

    at: datetime
    level: str
    message: str
    happening: Happening = "noise"
    trace: tuple[str, ...] = ()
    duration_ms: float | None = None
    channel: Literal["laravel", "calcom"] = "laravel"


@dataclass(frozen=True)
class Flags:
    """The feature flags of the application's .env."""

    enabled: bool = True
    service_whitelist: tuple[str, ...] = ()
    company_whitelist: tuple[int, ...] = ()
    auto_phases: bool = True

    def allow(self, service: Service) -> bool:
        """The application's rule: on, for the listed companies or all; off, for the listed services."""
        if not service.has_processing_time:
            return False
        if not self.enabled:
            return service.id in self.service_whitelist
        return not self.company_whitelist or service.company_id in self.company_whitelist


@dataclass
class Account:
    """Everything that was made, up to `until`."""

    world: World
    until: datetime
    flags: Flags
    companies: tuple[Company, ...] = ()
    services: tuple[Service, ...] = ()
    customers: tuple[Customer, ...] = ()
    appointments: list[Appointment] = field(default_factory=list)
    records: list[LogRecord] = field(default_factory=list)

    def phase_creation(self, as_of: datetime, company: int = 0) -> tuple[int, int]:
        """(with phases, all) of today's eligible appointments, those of the last minute left out."""
        found = self._eligible(_midnight(as_of), as_of - GRACE, company)
        return sum(1 for appointment in found if appointment.phases), len(found)

    def orphans(self, as_of: datetime, company: int = 0) -> tuple[list[int], int]:
        """(ids without phases, all) of yesterday's and today's eligible appointments."""
        found = self._eligible(_midnight(as_of, 1), as_of - GRACE, company)
        return [appointment.id for appointment in found if not appointment.phases], len(found)

    def synced(self, as_of: datetime, company: int = 0) -> tuple[Counter[str | None], int]:
        """(sync states, all) of the eligible appointments of seven days."""
        found = self._eligible(_midnight(as_of, 7), as_of, company)
        return Counter(appointment.sync for appointment in found), len(found)

    def without_phases(self, as_of: datetime, within: timedelta, company: int = 0) -> tuple[int, int]:
        """(without phases, all) of the eligible appointments of a stretch of time, those of the last minute left out."""
        found = self._eligible(as_of - within, as_of - GRACE, company)
        return sum(1 for appointment in found if not appointment.phases), len(found)

    def not_synced(self, as_of: datetime, within: timedelta, company: int = 0) -> tuple[int, int]:
        """(not synced, all) of the eligible appointments of a stretch of time; for an hour they may be under way."""
        found = self._eligible(as_of - within, as_of, company)
        bad = [
            a for a in found if a.sync in SYNC_ERRORS or (a.sync != "synced" and a.created_at < as_of - HOUR)
        ]
        return len(bad), len(bad) + sum(1 for appointment in found if appointment.sync == "synced")

    def distribution(self, as_of: datetime, company: int = 0) -> dict[str, int]:
        """Phases of today's eligible appointments by type."""
        found = self._eligible(_midnight(as_of), as_of - GRACE, company)
        return Counter(phase.kind for appointment in found for phase in appointment.phases)

    def overlaps(self, as_of: datetime, company: int = 0) -> set[int]:
        """Ids of bookings that start inside a processing phase of another appointment of the same person."""
        living = [a for a in self.appointments if not a.deleted]
        outer = [a for a in living if _midnight(as_of, 7) <= a.created_at < as_of and _of(a, company)]
        by_staff: dict[str, list[Appointment]] = {}
        for appointment in living:
            if appointment.created_at < as_of:
                by_staff.setdefault(appointment.staff_id, []).append(appointment)
        return {
            inner.id
            for appointment in outer
            for phase in appointment.phases
            if not phase.staff_required
            for inner in by_staff[appointment.staff_id]
            if inner.id != appointment.id and phase.starts_at <= inner.starts_at < phase.ends_at
        }

    def stale(self, as_of: datetime, company: int = 0) -> tuple[int, int]:
        """(of services without processing time, all) of the appointments of seven days that have phases."""
        found = [
            a
            for a in self.appointments
            if not a.deleted
            and _midnight(as_of, 7) <= a.created_at < as_of
            and _of(a, company)
            and any(phase.segment_key is None for phase in a.phases)
        ]
        return sum(1 for a in found if not a.service.has_processing_time), len(found)

    def figures(self, as_of: datetime, since: datetime, company: int = 0) -> dict[str, Figures]:
        """What each metric should be made of; `since` is where its reading of the log starts.

        The log does not tell companies apart: its figures are for all of them.
        """
        complete, today = self.phase_creation(as_of, company)
        orphans, two_days = self.orphans(as_of, company)
        states, week = self.synced(as_of, company)
        stale, with_phases = self.stale(as_of, company)
        durations = [r.duration_ms for r in self.happened("phases_created", since, as_of) if r.duration_ms]
        hits, misses = (len(self.happened(kind, since, as_of)) for kind in ("cache_hit", "cache_miss"))
        failures = [r for kind in FAILURES for r in self.happened(kind, since, as_of)]
        unsynced = [r for r in self.happened("sync_failed", since, as_of) if "Processing Time" in r.message]
        return {
            "phase_creation_success_rate": (complete, today),
            "phase_creation_time": (sum(durations), len(durations)),
            "availability_cache_hit_rate": (hits, hits + misses),
            "calcom_sync_success_rate": (states["synced"], week),
            "phase_distribution": (sum(self.distribution(as_of, company).values()), complete),
            "overlapping_bookings": (len(self.overlaps(as_of, company)), self._with_gaps(as_of, company)),
            "orphaned_appointments": (len(orphans), two_days),
            "stale_phases": (stale, with_phases),
            "phase_creation_failures": (len(failures), None),
            "observer_disabled": (len(self.happened("observer_disabled", since, as_of)), None),
            "cache_miss_spike": (misses, None),
            "calcom_sync_failures": (len(unsynced), None),
        }

    def bursts(self, as_of: datetime, since: datetime) -> dict[str, int]:
        """By log rule, the largest number of its lines in any stretch of its length that ends at one since `since`."""
        found = {}
        for rule, (happenings, within) in _BURSTS.items():
            lines = [r for kind in happenings for r in self.happened(kind, since - within, as_of)]
            instants = [
                r.at for r in lines if rule != "calcom_sync_failures" or "Processing Time" in r.message
            ]
            ends = [end for end in instants if end >= since]
            found[rule] = max((sum(end - within < at <= end for at in instants) for end in ends), default=0)
        return found

    def happened(self, happening: Happening, start: datetime, end: datetime) -> list[LogRecord]:
        """The log records of a kind with `start` <= time < `end`."""
        return [r for r in self.records if r.happening == happening and start <= r.at < end]

    def _with_gaps(self, as_of: datetime, company: int) -> int:
        """Appointments of seven days with a phase that leaves the staff free."""
        return sum(
            1
            for a in self.appointments
            if not a.deleted
            and _midnight(as_of, 7) <= a.created_at < as_of
            and _of(a, company)
            and any(not phase.staff_required for phase in a.phases)
        )

    def _eligible(self, start: datetime, end: datetime, company: int) -> list[Appointment]:
        return [
            a
            for a in self.appointments
            if not a.deleted
            and start <= a.created_at < end
            and self.flags.allow(a.service)
            and _of(a, company)
        ]


def _midnight(as_of: datetime, days_before: int = 0) -> datetime:
    day = as_of.astimezone(BERLIN).date() - timedelta(days=days_before)
    return datetime.combine(day, time(), BERLIN)


def _of(appointment: Appointment, company: int) -> bool:
    return company in (0, appointment.service.company_id)
