# SPDX-License-Identifier: MIT
"""Thirty days of a booking application, made up from a seed: bookings, phases, syncs, log records.

The same plan gives the same days, to the second. Bookings follow the hours of a salon's customers in Berlin, volume
grows over the month, people work without conflicts, and some bookings are placed into the processing time of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from demo import catalogue, records
from demo.account import BERLIN, Account, Appointment, Flags, LogRecord, Phase, Service, World

#: Weights of the hours of a Berlin day: when people book.
_HOURS = (1, 1, 1, 1, 1, 2, 5, 10, 16, 20, 22, 21, 18, 17, 18, 19, 20, 21, 20, 16, 14, 10, 6, 3)
_SPLIT_A_DAY = 330
_OTHERS_A_DAY = 90
_NOISE_A_DAY = 240
_OPENS, _CLOSES = 8, 20


@dataclass(frozen=True)
class Trouble:
    """Something goes wrong for a `share` of the cases from `start` to `end`, in one company or (0) in all."""

    start: datetime
    end: datetime
    share: float
    company_id: int = 0

    def strikes(self, at: datetime, company_id: int, chance: float) -> bool:
        """Whether a case at this time with this draw from [0, 1) is hit."""
        return self.start <= at < self.end and self.company_id in (0, company_id) and chance < self.share


@dataclass(frozen=True)
class Surge:
    """So many bookings with processing time (or look-ups) an hour, evenly spread, in place of the usual ones."""

    start: datetime
    end: datetime
    per_hour: int


@dataclass(frozen=True)
class ColdStart:
    """All availability caches are cleared `at`; the misses that follow are over within `recovery`."""

    at: datetime
    misses: int = 120
    recovery: timedelta = timedelta(minutes=4)


@dataclass(frozen=True)
class Plan:
    """What to make. `until` is where the data ends (aware); the plan and its seed decide everything."""

    until: datetime
    days: int = 30
    seed: int = 20251028
    world: World = "guide"
    flags: Flags = field(default_factory=Flags)
    surges: tuple[Surge, ...] = ()
    request_surges: tuple[Surge, ...] = ()
    phase_failures: tuple[Trouble, ...] = ()
    sync_failures: tuple[Trouble, ...] = ()
    slow_phases: tuple[Trouble, ...] = ()
    slow_ms: float = 400.0
    creation_ms: float = 34.0
    cold_starts: tuple[ColdStart, ...] = ()
    requests_a_day: int = 900
    observer_disabled_at: tuple[datetime, ...] = ()


def generate(plan: Plan) -> Account:
    """Make everything that the plan says; a pure function of it."""
    return _Generator(plan).run()


class _Generator:
    """One pass over the days of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        companies, services = catalogue.companies(), catalogue.services(plan.world)
        self._staff = {company.id: company.staff for company in companies}
        self._customers = {company.id: catalogue.customers(company) for company in companies}
        self._split = [service for service in services if service.has_processing_time]
        self._simple = [service for service in services if not service.has_processing_time]
        self._busy: dict[tuple[str, date], list[tuple[datetime, datetime]]] = {}
        everybody = tuple(person for people in self._customers.values() for person in people)
        self._account = Account(plan.world, plan.until, plan.flags, companies, services, everybody)

    def run(self) -> Account:
        today = self._plan.until.astimezone(BERLIN).date()
        for back in range(self._plan.days, -1, -1):
            day = today - timedelta(days=back)
            growth = 1.0 - 0.6 * min(back, 25) / 25
            self._book(day, growth)
            self._look_up(day, growth)
            self._chatter(day)
        # Rows are numbered in the order of their inserts, which is nearly that of created_at.
        rng = self._random("ids")
        made = self._account.appointments
        made.sort(key=lambda a: a.created_at + timedelta(seconds=2 * rng.random()))
        for number, appointment in enumerate(made, start=1001):
            appointment.id = number
            self._account.records += self._worked_on(appointment)
        self._account.records += self._cold_starts()
        self._account.records += [records.observer_disabled(at) for at in self._plan.observer_disabled_at]
        self._account.records = sorted(
            (record for record in self._account.records if record.at < self._plan.until),
            key=lambda record: record.at,
        )
        return self._account

    def _random(self, *purpose: object) -> Random:
        """Draws of their own for each day and purpose, so that more of one thing changes nothing else."""
        return Random(":".join(map(str, (self._plan.seed, *purpose))))

    # --- bookings ---

    def _book(self, day: date, growth: float) -> None:
        rng = self._random(day, "split")
        popularity = [service.popularity for service in self._split]
        for at in _with_surges(_moments(rng, day, int(_SPLIT_A_DAY * growth)), day, self._plan.surges):
            outer = self._place(rng, rng.choices(self._split, popularity)[0], at)
            if rng.random() < 0.3:
                self._book_inside(rng, outer)
        rng = self._random(day, "simple")
        for at in _moments(rng, day, _OTHERS_A_DAY):
            self._place(rng, rng.choice(self._simple), at)

    def _place(self, rng: Random, service: Service, at: datetime) -> Appointment:
        """Put a booking into the calendar of somebody who is free; after some tries it is overbooked."""
        spans: list[tuple[datetime, datetime]] = []
        for _ in range(6):
            day = at.astimezone(BERLIN).date() + timedelta(days=1 + int(rng.random() ** 2 * 14))
            quarter = rng.randrange((_CLOSES - _OPENS) * 4)
            opening = datetime.combine(day, time(_OPENS), BERLIN).astimezone(UTC)
            starts_at = opening + timedelta(minutes=15 * quarter)
            person = rng.choice(self._staff[service.company_id])
            taken = self._busy.setdefault((person, day), [])
            spans = [(starts_at + a, starts_at + b) for a, b in _occupied(service)]
            if not any(start < end and begin < stop for start, stop in spans for begin, end in taken):
                break
        taken.extend(spans)
        return self._add(rng, service, at, starts_at, person)

    def _book_inside(self, rng: Random, outer: Appointment) -> None:
        """A short booking within the processing time of another one, made by somebody else some time later."""
        service = min(
            (s for s in self._simple if s.company_id == outer.service.company_id), key=lambda s: s.duration
        )
        gap = outer.starts_at + timedelta(minutes=outer.service.initial or 0)
        at = outer.created_at + (gap - outer.created_at) * (0.1 + 0.5 * rng.random())
        self._add(rng, service, at.replace(microsecond=0), gap, outer.staff_id)

    def _add(
        self, rng: Random, service: Service, at: datetime, starts_at: datetime, person: str
    ) -> Appointment:
        cancelled_at = at + timedelta(hours=6 * rng.random())
        soft_deleted = (
            rng.random() < 0.02 and self._plan.world == "deployed" and cancelled_at < self._plan.until
        )
        appointment = Appointment(
            service=service,
            staff_id=person,
            customer=rng.choice(self._customers[service.company_id]),
            created_at=at,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=service.duration),
            deleted_at=cancelled_at.replace(microsecond=0) if soft_deleted else None,
        )
        if at < self._plan.until:
            self._account.appointments.append(appointment)
        return appointment

    # --- what the observer and the sync job make of a booking ---

    def _worked_on(self, appointment: Appointment) -> Iterator[LogRecord]:
        """Phases and sync state of an appointment, and what was logged about them."""
        rng = self._random("work", appointment.created_at, appointment.customer.id)
        service = appointment.service
        if service.composite:
            appointment.phases = _segments(appointment)
        yield from self._observed(rng, appointment)
        yield from self._synced(rng, appointment)

    def _observed(self, rng: Random, appointment: Appointment) -> Iterator[LogRecord]:
        plan, at, company = self._plan, appointment.created_at, appointment.service.company_id
        chance, slow, normal = rng.random(), rng.random(), rng.gauss(plan.creation_ms, plan.creation_ms / 4)
        if not plan.flags.allow(appointment.service) or not plan.flags.auto_phases:
            return
        if any(trouble.strikes(at, company, chance) for trouble in plan.phase_failures):
            yield records.phases_failed(appointment)
            return
        appointment.phases = phases_of(appointment)
        delay = (
            plan.slow_ms if any(trouble.strikes(at, company, slow) for trouble in plan.slow_phases) else 0.0
        )
        yield records.phases_created(appointment, max(5.0, normal) + delay, plan.world)
        if plan.world == "deployed" and rng.random() < 0.003:
            yield records.phases_update_failed(appointment, at + timedelta(hours=1))

    def _synced(self, rng: Random, appointment: Appointment) -> Iterator[LogRecord]:
        plan, company = self._plan, appointment.service.company_id
        chance, fault = rng.random(), rng.randrange(3)
        at = appointment.created_at + timedelta(seconds=rng.randrange(2, 20))
        if at >= plan.until:
            appointment.sync = "pending"
            return
        failed = chance < 0.001 or any(t.strikes(at, company, chance) for t in plan.sync_failures)
        if failed:
            appointment.sync = "failed" if plan.world == "deployed" else "error"
        yield records.synced(appointment, at, fault if failed else None)

    # --- availability and the rest of the log ---

    def _look_up(self, day: date, growth: float) -> None:
        rng = self._random(day, "availability")
        usual = _moments(rng, day, int(self._plan.requests_a_day * growth))
        for at in _with_surges(usual, day, self._plan.request_surges):
            service, week, hit = (
                rng.choice(self._split),
                day + timedelta(days=rng.randrange(7)),
                rng.random() < 0.88,
            )
            record = records.availability(at, service, week, self._plan.world, hit=hit)
            if record is not None:
                self._account.records.append(record)

    def _cold_starts(self) -> Iterator[LogRecord]:
        """A cleared cache: most misses come at once, for each fills the cache for those who come after."""
        for cold in self._plan.cold_starts:
            rng = self._random("cold", cold.at)
            yield LogRecord(cold.at, "INFO", "Application cache cleared successfully.")
            for _ in range(cold.misses):
                at = (cold.at + cold.recovery * rng.random() ** 2).replace(microsecond=0)
                record = records.availability(
                    at, rng.choice(self._split), at.date(), self._plan.world, hit=False
                )
                if record is not None:
                    yield record

    def _chatter(self, day: date) -> None:
        rng = self._random(day, "noise")
        for at in _moments(rng, day, _NOISE_A_DAY):
            level, message, below = rng.choice(records.NOISE)
            shown = message.format(n=rng.randrange(1000, 9999))
            self._account.records.append(LogRecord(at, level, shown, trace=below))


def _moments(rng: Random, day: date, count: int) -> list[datetime]:
    """So many instants of a Berlin day, by the usual hours."""
    midnight = datetime.combine(day, time(), BERLIN).astimezone(UTC)
    hours = rng.choices(range(24), _HOURS, k=count)
    return [midnight + timedelta(hours=hour, seconds=rng.randrange(3600)) for hour in hours]


def _with_surges(usual: list[datetime], day: date, surges: tuple[Surge, ...]) -> list[datetime]:
    """The usual instants of a day, but evenly spaced ones while a surge lasts."""
    found = [at for at in usual if not any(surge.start <= at < surge.end for surge in surges)]
    for surge in surges:
        spacing = timedelta(hours=1) / surge.per_hour
        even = (surge.start + index * spacing for index in range(int((surge.end - surge.start) / spacing)))
        found += [at.replace(microsecond=0) for at in even if at.astimezone(BERLIN).date() == day]
    return found


def _parts(service: Service) -> Iterator[tuple[str, int, int, bool]]:
    """Kind, start and length in minutes, and whether staff is needed, of each part that takes time."""
    start = 0
    for kind, minutes in (
        ("initial", service.initial),
        ("processing", service.processing),
        ("final", service.final),
    ):
        if minutes:
            yield kind, start, minutes, kind != "processing"
            start += minutes


def _occupied(service: Service) -> list[tuple[timedelta, timedelta]]:
    """The stretches, from the start on, in which somebody has to be there."""
    if not service.has_processing_time:
        return [(timedelta(), timedelta(minutes=service.duration))]
    return [
        (timedelta(minutes=start), timedelta(minutes=start + minutes))
        for _, start, minutes, needed in _parts(service)
        if needed
    ]


def phases_of(appointment: Appointment) -> tuple[Phase, ...]:
    """The phases that the application makes for an appointment with processing time."""
    begin = appointment.starts_at
    return tuple(
        Phase(kind, begin + timedelta(minutes=start), begin + timedelta(minutes=start + minutes), needed)
        for kind, start, minutes, needed in _parts(appointment.service)
    )


def _segments(appointment: Appointment) -> tuple[Phase, ...]:
    """The phases of a composite service: three segments of equal length, all with staff."""
    third = (appointment.ends_at - appointment.starts_at) / 3
    kinds = ("initial", "processing", "final")
    return tuple(
        Phase(
            kind, appointment.starts_at + i * third, appointment.starts_at + (i + 1) * third, True, "ABC"[i]
        )
        for i, kind in enumerate(kinds)
    )
