# SPDX-License-Identifier: MIT
"""The independent count is right on rows that can be counted by eye, and a plan always gives the same days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from demo.account import Account, Appointment, Customer, Flags, LogRecord, Phase, Service
from demo.scenarios import SCENARIOS, clock, prepare
from demo.traffic import Plan, Trouble, generate

NOON = datetime(2026, 3, 10, 11, tzinfo=UTC)  # 12:00 in Berlin
SPLIT = Service("1", 1, "Balayage", 90, 30, 30, 30)
SIMPLE = Service("2", 2, "Cut", 30)
SOMEBODY = Customer(1, 1, "Mia", "mia@kunden.example", "+49")


def appointment(
    number: int, created_at: datetime, service: Service = SPLIT, *, phases: bool = True
) -> Appointment:
    start = datetime(2026, 3, 12, 9, tzinfo=UTC)
    parts = (
        Phase("initial", start, start + timedelta(minutes=30), staff_required=True),
        Phase(
            "processing", start + timedelta(minutes=30), start + timedelta(minutes=60), staff_required=False
        ),
    )
    return Appointment(
        service,
        "somebody",
        SOMEBODY,
        created_at,
        start,
        start + timedelta(minutes=service.duration),
        phases=parts if phases else (),
        id=number,
    )


def account(*appointments: Appointment, flags: Flags | None = None) -> Account:
    return Account("guide", NOON, flags or Flags(), appointments=list(appointments))


def test_today_starts_at_midnight_in_berlin_and_ends_a_minute_ago() -> None:
    counted = account(
        appointment(1, datetime(2026, 3, 9, 22, 59, 59, tzinfo=UTC)),
        appointment(2, datetime(2026, 3, 9, 23, 0, tzinfo=UTC)),
        appointment(3, NOON - timedelta(seconds=61), phases=False),
        appointment(4, NOON - timedelta(seconds=60), phases=False),
    )
    assert counted.phase_creation(NOON) == (1, 2)
    assert counted.orphans(NOON) == ([3], 3)
    assert counted.phase_creation(NOON, company=2) == (0, 0)


def test_flags_and_deletions_decide_who_counts() -> None:
    made = [appointment(1, NOON - timedelta(hours=1), phases=False)]
    assert account(*made).phase_creation(NOON) == (0, 1)
    assert account(*made, flags=Flags(company_whitelist=(2,))).phase_creation(NOON) == (0, 0)
    assert account(*made, flags=Flags(enabled=False)).phase_creation(NOON) == (0, 0)
    assert account(*made, flags=Flags(enabled=False, service_whitelist=("1",))).phase_creation(NOON) == (0, 1)
    made[0].deleted_at = NOON
    assert account(*made).phase_creation(NOON) == (0, 0)


def test_overlaps_count_a_booking_once_and_only_in_the_processing_phase() -> None:
    outer, twin = (appointment(number, NOON - timedelta(days=2)) for number in (1, 2))
    inside = appointment(3, NOON - timedelta(days=1), SIMPLE, phases=False)
    inside.starts_at = outer.phases[1].starts_at
    at_the_end = appointment(4, NOON - timedelta(days=1), SIMPLE, phases=False)
    at_the_end.starts_at = outer.phases[1].ends_at
    assert account(outer, twin, inside, at_the_end).overlaps(NOON) == {3}


def test_stale_phases_leave_composite_segments_out() -> None:
    gone = appointment(1, NOON - timedelta(days=1), SIMPLE)
    composite = appointment(2, NOON - timedelta(days=1), replace(SIMPLE, composite=True))
    composite.phases = tuple(replace(phase, segment_key="A") for phase in composite.phases)
    assert account(gone, composite, appointment(3, NOON - timedelta(days=1))).stale(NOON) == (1, 2)


def test_a_burst_ends_in_the_slice_may_begin_before_it_and_is_open_at_its_start() -> None:
    log = account()
    log.records = [
        LogRecord(NOON - timedelta(minutes=minutes), "ERROR", "", "phases_failed")
        for minutes in (130, 70, 65, 20, 5)
    ]
    # The hour that ends 20 minutes before noon holds the lines at -70 and -65; the one that ends at -5 leaves -65 out.
    assert log.bursts(NOON, NOON - timedelta(hours=1))["phase_creation_failures"] == 3
    assert log.bursts(NOON, NOON - timedelta(minutes=10))["phase_creation_failures"] == 2
    assert log.bursts(NOON, NOON - timedelta(minutes=2))["phase_creation_failures"] == 0


def test_a_plan_gives_the_same_days_again() -> None:
    plan = Plan(NOON, days=2)
    assert generate(plan) == generate(plan)


def test_a_trouble_changes_only_what_it_is_about() -> None:
    plan = Plan(NOON, days=2)
    struck = replace(plan, phase_failures=(Trouble(NOON - timedelta(hours=3), NOON, 1.0, company_id=2),))
    well, broken = generate(plan).appointments, generate(struck).appointments
    differing = [b for a, b in zip(well, broken, strict=True) if a != b]
    assert differing
    assert all(not b.phases and b.service.company_id == 2 for b in differing)
    assert [(a.id, a.created_at, a.starts_at) for a in well] == [
        (b.id, b.created_at, b.starts_at) for b in broken
    ]


@pytest.mark.parametrize(
    ("present", "as_of"),
    [
        ("2026-03-10T12:00+01:00", "2026-03-10T12:00+01:00"),
        ("2026-03-10T15:59+01:00", "2026-03-10T15:00+01:00"),
        ("2026-03-10T20:30+01:00", "2026-03-10T20:00+01:00"),
        ("2026-03-10T21:00+01:00", "2026-03-10T14:00+01:00"),
        ("2026-03-10T08:00+01:00", "2026-03-09T14:00+01:00"),
        ("2026-03-30T00:10+02:00", "2026-03-29T14:00+02:00"),
    ],
)
def test_checks_lie_at_an_hour_with_data_whatever_the_hour(present: str, as_of: str) -> None:
    assert clock(datetime.fromisoformat(present)).as_of == datetime.fromisoformat(as_of)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("hour", [0, 12, 23])
def test_every_check_of_a_scenario_lies_in_the_past_and_in_order(name: str, hour: int) -> None:
    present = datetime(2026, 3, 29, hour, 5, tzinfo=UTC)
    checks = [check.at for check in prepare(name, present).checks]
    assert checks == sorted(set(checks))
    assert checks[-1] <= present
