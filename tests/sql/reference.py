# SPDX-License-Identifier: MIT
"""The metrics counted a second time, row by row in Python, to hold the SQL against."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from processing_time.sources.feature_flags import FeatureFlags
from tests.sql.application import Application, Appointment, Service

GRACE = timedelta(seconds=60)
BERLIN = ZoneInfo("Europe/Berlin")


class Figure(NamedTuple):
    value: float | None
    numerator: float
    denominator: float


def figures(app: Application, as_of: datetime, flags: FeatureFlags) -> dict[tuple[str, int], Figure]:
    """Every figure of the six metrics, by metric and company."""
    today, yesterday, week = (_midnight(as_of, days) for days in (0, 1, 7))
    alive = [
        a
        for a in app.appointments
        if not a.deleted and a.created_at and not (a.service and a.service.deleted)
    ]
    served = [a for a in alive if a.service]
    eligible = [a for a in served if a.service and _eligible(a.service, flags)]
    found: dict[tuple[str, int], Figure] = {}

    for company, own in _by_company(_between(eligible, today, as_of - GRACE)):
        have = [a for a in own if a.phases]
        _keep(found, "phase_creation_success_rate", company, len(have), len(own), rate=True)
        deviation = _deviation(have)
        if company == 0 or own:
            total = sum(len(a.phases) for a in have)
            found["phase_distribution", company] = Figure(deviation, total, len(have))
    for company, own in _by_company(_between(eligible, week, as_of)):
        synced = [a for a in own if a.sync == "synced"]
        _keep(found, "calcom_sync_success_rate", company, len(synced), len(own), rate=True)
    for company, own in _by_company(_between(eligible, yesterday, as_of - GRACE)):
        _keep(found, "orphaned_appointments", company, sum(not a.phases for a in own), len(own))
    with_own_phases = [a for a in served if any(not p.segment_key for p in a.phases)]
    for company, own in _by_company(_between(with_own_phases, week, as_of)):
        stale = [a for a in own if a.service and not a.service.has_processing_time]
        _keep(found, "stale_phases", company, len(stale), len(own))
    before = [a for a in alive if a.created_at and a.created_at < as_of]
    outer = [a for a in _between(alive, week, as_of) if any(not p.staff_required for p in a.phases)]
    for company, own in _by_company(outer):
        inner = {b.id for a in own for b in before if _starts_inside(b, a)}
        _keep(found, "overlapping_bookings", company, len(inner), len(own))
    return found


class Budget(NamedTuple):
    """What failed and what there is in the last 72, 24, 6 and 2 hours."""

    failing: tuple[int, ...]
    total: tuple[int, ...]


def budgets(app: Application, as_of: datetime, flags: FeatureFlags) -> dict[tuple[str, int], Budget]:
    """What burns of the two error budgets, by metric and company."""
    eligible = [
        a
        for a in app.appointments
        if not a.deleted and a.created_at and a.service and _eligible(a.service, flags)
    ]
    decided = [
        a
        for a in eligible
        if a.sync in ("synced", app.error) or (a.created_at and as_of - a.created_at > timedelta(hours=1))
    ]
    found: dict[tuple[str, int], Budget] = {}
    for key, counted, end, well in (
        ("phase_creation_burn_rate", eligible, as_of - GRACE, lambda a: bool(a.phases)),
        ("calcom_sync_burn_rate", decided, as_of, lambda a: a.sync == "synced"),
    ):
        for company, own in _by_company(_between(counted, as_of - timedelta(hours=72), end)):
            held = [_between(own, as_of - timedelta(hours=hours), end) for hours in (72, 24, 6, 2)]
            found[key, company] = Budget(
                tuple(sum(not well(a) for a in h) for h in held), tuple(map(len, held))
            )
    return found


def _midnight(as_of: datetime, days: int) -> datetime:
    day = as_of.astimezone(BERLIN).date() - timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=BERLIN)


def _eligible(service: Service, flags: FeatureFlags) -> bool:
    if not service.has_processing_time or service.deleted:
        return False
    if not flags.configured:
        return True
    if flags.enabled:
        return not flags.company_whitelist or service.company_id in flags.company_whitelist
    return str(service.id) in flags.service_whitelist


def _between(rows: Iterable[Appointment], start: datetime, end: datetime) -> list[Appointment]:
    return [a for a in rows if a.created_at and start <= a.created_at < end]


def _by_company(rows: Iterable[Appointment]) -> list[tuple[int, list[Appointment]]]:
    groups: dict[int, list[Appointment]] = defaultdict(list, {0: list(rows)})
    for a in groups[0]:
        if a.service and a.service.company_id is not None:
            groups[a.service.company_id].append(a)
    return sorted(groups.items())


def _keep(
    found: dict[tuple[str, int], Figure], key: str, company: int, part: int, whole: int, *, rate: bool = False
) -> None:
    value: float | None = part
    if rate:
        value = 100 * part / whole if whole else None
    found[key, company] = Figure(value, part, whole)


def _deviation(appointments: list[Appointment]) -> float | None:
    types = ("initial", "processing", "final")
    expected = Counter(
        t for a in appointments if a.service for t, m in zip(types, a.service.durations, strict=True) if m
    )
    actual = Counter(p.type for a in appointments for p in a.phases)
    if not actual:
        return None
    shares = {t: expected[t] / expected.total() for t in expected}
    return max(abs(actual[t] / actual.total() - share) / share * 100 for t, share in shares.items())


def _starts_inside(inner: Appointment, outer: Appointment) -> bool:
    return (
        inner.id != outer.id
        and inner.staff_id is not None
        and inner.staff_id == outer.staff_id
        and any(p.starts_at <= inner.starts_at < p.ends_at for p in outer.phases if not p.staff_required)
    )
