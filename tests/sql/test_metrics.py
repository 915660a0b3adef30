# SPDX-License-Identifier: MIT
"""The metrics on few rows each: the numbers, the detail and the windows that the documentation promises."""

from __future__ import annotations

from datetime import timedelta

import pytest

from processing_time.model import Sample, SourceUnavailable
from processing_time.sources.feature_flags import FeatureFlags
from tests.sql.application import Application, Phase, berlin, phases_of
from tests.sql.conftest import Build, by_key, check, settings_for

AS_OF = berlin("2026-07-15 14:00")
MORNING = AS_OF - timedelta(hours=4)


def overall(app: Application, key: str, **options: object) -> Sample:
    return by_key(check(app, AS_OF, **options))[key, 0]  # type: ignore[arg-type]


def test_success_rate_counts_what_has_phases(app: Application) -> None:
    one, two = app.service(company_id=1), app.service(company_id=2)
    app.service(company_id=3)  # has no appointments: no row
    for number in range(7):
        app.appointment(one, MORNING, phases=[] if number < 2 else "all")
    app.appointment(two, MORNING)
    app.insert()

    found = by_key(check(app, AS_OF))

    sample = found["phase_creation_success_rate", 0]
    assert (sample.value, sample.numerator, sample.denominator) == (75.0, 6, 8)
    assert sample.detail["without_phases"] == 2
    assert (sample.window.start, sample.window.end) == (berlin("2026-07-15 00:00"), AS_OF)
    assert found["phase_creation_success_rate", 1].value == pytest.approx(500 / 7)
    assert found["phase_creation_success_rate", 2].value == 100
    assert {c for k, c in found if k == "phase_creation_success_rate"} == {0, 1, 2}


def test_appointments_of_the_last_minute_may_still_get_their_phases(app: Application) -> None:
    service = app.service()
    app.appointment(service, AS_OF - timedelta(seconds=61), phases=[])
    app.appointment(service, AS_OF - timedelta(seconds=60), phases=[])
    app.appointment(service, AS_OF - timedelta(seconds=1), phases=[])
    app.insert()
    found = by_key(check(app, AS_OF))
    assert found["phase_creation_success_rate", 0].denominator == 1
    assert found["orphaned_appointments", 0].denominator == 1
    assert found["phase_distribution", 0].detail["eligible"] == 1
    assert found["calcom_sync_success_rate", 0].denominator == 3  # nothing is in the making there
    waiting = settings_for(app, application={"grace": timedelta(seconds=0)})
    assert overall(app, "phase_creation_success_rate", settings=waiting).denominator == 3


@pytest.mark.parametrize(
    ("as_of", "seconds"),
    [("2026-03-29 12:00", 11 * 3600), ("2026-10-25 12:00", 13 * 3600), ("2026-07-15 12:00", 12 * 3600)],
)
def test_today_is_the_berlin_day(app: Application, as_of: str, seconds: int) -> None:
    """An appointment a minute from 30 hours ago on; the day of a change is an hour shorter or longer."""
    end = berlin(as_of)
    service = app.service()
    for minute in range(30 * 60):
        app.appointment(service, end - timedelta(minutes=minute + 1), phases=[])
    app.insert()
    found = by_key(check(app, end))
    # The youngest is sixty seconds old, which is within the grace.
    assert found["phase_creation_success_rate", 0].denominator == seconds / 60 - 1


def test_sync_rate_keeps_pending_and_stateless_ones_in_the_denominator(app: Application) -> None:
    service = app.service()
    for state, count in (("synced", 12), (app.error, 3), ("pending", 2), (None, 1)):
        for _ in range(count):
            app.appointment(service, AS_OF - timedelta(days=6), sync=state)
    app.insert()
    sample = overall(app, "calcom_sync_success_rate")
    assert (sample.value, sample.numerator, sample.denominator) == (pytest.approx(1200 / 18), 12, 18)
    assert sample.detail["errors"] == 3
    assert sample.detail["pending"] == 3
    assert sample.detail["by_status"] == {"synced": 12, app.error: 3, "pending": 2, "NULL": 1}
    assert sample.window.start == berlin("2026-07-08 00:00")


def test_several_values_may_mean_synced_or_failed(build: Build) -> None:
    app = build("deployed")
    service = app.service()
    for state in ("synced", "orphaned_local", "verification_pending", "failed", "pending"):
        app.appointment(service, MORNING, sync=state)
    app.insert()
    settings = settings_for(
        app,
        application={
            "synced_values": ("synced", "verification_pending"),
            "error_values": ("failed", "orphaned_local"),
        },
    )
    sample = overall(app, "calcom_sync_success_rate", settings=settings)
    assert (sample.numerator, sample.detail["errors"], sample.detail["pending"]) == (2, 2, 1)


def test_the_sync_state_is_the_appointment_s_not_the_service_s(build: Build) -> None:
    """Deployed, services have a column sync_status too, and it says synced; an unqualified query reads that one."""
    app = build("deployed")
    app.appointment(app.service(), MORNING, sync="failed")
    app.insert()
    assert app.run("SELECT DISTINCT sync_status FROM services") == [("synced",)]
    assert overall(app, "calcom_sync_success_rate").value == 0


def test_codes_of_errors_are_those_of_the_sync(build: Build) -> None:
    app = build("deployed")
    for number in range(12):
        app.appointment(app.service(), MORNING, sync="failed" if number % 2 else "synced")
    app.insert()
    app.run(
        "ALTER TABLE appointments ADD sync_error_code VARCHAR(32), ADD error_code VARCHAR(32)",
        "UPDATE appointments SET sync_error_code = ELT(1 + id MOD 3, 'GONE', '429')",
        "UPDATE appointments SET service_id = 1, error_code = 'PAYMENT', calcom_sync_status = 'failed'",
    )
    assert overall(app, "calcom_sync_success_rate").detail["by_error_code"] == {
        "GONE": 4,
        "429": 4,
        "NULL": 4,
    }


def test_distribution_against_what_the_services_give(app: Application) -> None:
    three, two = app.service(company_id=1), app.service(company_id=2, durations=(15, 30, 0))
    without_last = [app.appointment(three, MORNING) for _ in range(10)][:4]
    for made in without_last:
        made.phases.pop()
    app.appointment(three, MORNING, phases=[])  # has none: gives no expectation either
    for _ in range(5):
        app.appointment(two, MORNING)
    app.insert()

    found = by_key(check(app, AS_OF))

    # Company 1: 10 initial, 10 processing, 6 final of 26; a third each is expected.
    own = found["phase_distribution", 1]
    assert own.value == pytest.approx((1 / 3 - 6 / 26) / (1 / 3) * 100)
    assert (own.numerator, own.denominator, own.detail["eligible"]) == (26, 10, 11)
    assert own.detail["counts"] == {"final": 6, "initial": 10, "processing": 10}
    # Company 2 gives what its service is configured to give, half and half.
    assert found["phase_distribution", 2].value == 0
    assert found["phase_distribution", 2].detail["expected_shares"] == {"initial": 50, "processing": 50}
    # All: 15, 15, 6 of 36; 15, 15 and 10 of 40 are expected.
    assert found["phase_distribution", 0].value == pytest.approx(abs(6 / 36 - 10 / 40) / (10 / 40) * 100)


def test_a_type_that_is_not_expected_is_listed_and_counts_in_the_total(app: Application) -> None:
    service = app.service(durations=(15, 30, None))
    for _ in range(10):
        made = app.appointment(service, MORNING)
        made.phases.append(Phase("final", made.starts_at, made.starts_at + timedelta(minutes=5)))
    app.insert()
    sample = overall(app, "phase_distribution")
    assert sample.detail["unexpected"] == {"final": 10}
    assert sample.value == pytest.approx((1 / 2 - 1 / 3) / (1 / 2) * 100)


def test_services_of_company_nought_count_once(app: Application) -> None:
    """Some applications write 0 for no company, which is all companies here."""
    for company in (0, None, 1):
        service = app.service(company_id=company)
        for _ in range(4):
            app.appointment(service, MORNING)
    app.insert()
    found = by_key(check(app, AS_OF))
    assert {key for key in found if key[0] == "phase_distribution"} == {
        ("phase_distribution", c) for c in (0, 1)
    }
    sample = found["phase_distribution", 0]
    assert (sample.numerator, sample.denominator, sample.detail["eligible"]) == (36, 12, 12)


def test_an_id_that_the_server_takes_for_the_same_costs_the_distribution_only(build: Build) -> None:
    app = build("guide")
    service = app.service()
    service.id = "ABCDEF01-0000-4000-8000-000000000000"
    for _ in range(4):
        app.appointment(service, MORNING)
    app.insert()
    app.run("UPDATE services SET id = LOWER(id)")
    found = by_key(check(app, AS_OF))
    assert {key for key, sample in found.items() if sample.loss} == {("phase_distribution", 0)}
    assert "services.id" in found["phase_distribution", 0].reason
    assert found["phase_creation_success_rate", 1].denominator == 4


def test_distribution_without_any_phase_has_no_value(app: Application) -> None:
    app.appointment(app.service(), MORNING, phases=[])
    app.insert()
    found = by_key(check(app, AS_OF))
    for company in (0, 1):
        sample = found["phase_distribution", company]
        assert (sample.value, sample.denominator, sample.loss) == (None, 0, None)


def test_distribution_without_any_duration_is_unknown(app: Application) -> None:
    service = app.service(durations=(None, None, 0))
    made = app.appointment(service, MORNING)
    made.phases = [Phase("initial", made.starts_at, made.starts_at + timedelta(minutes=5))]
    app.insert()
    sample = overall(app, "phase_distribution")
    assert sample.loss
    assert "no phase durations" in sample.reason


def test_a_booking_in_two_phases_counts_once(app: Application) -> None:
    """Two outer appointments of one member of staff; a booking starts in the processing phases of both."""
    service = app.service()
    nine = berlin("2026-07-20 09:00")
    long = [Phase("processing", nine, nine + timedelta(hours=2), staff_required=False)]
    app.appointment(service, MORNING, starts_at=nine, phases=long)
    app.appointment(service, MORNING, starts_at=nine - timedelta(hours=2), phases=long)
    plain = app.service(has_processing_time=False, company_id=2)
    for minutes, staff in ((15, "anna"), (45, "anna"), (60, "ben")):
        at = nine + timedelta(minutes=minutes)
        app.appointment(plain, MORNING, starts_at=at, staff_id=staff, phases=[])
    app.insert()
    found = by_key(check(app, AS_OF))
    # The first outer appointment starts at nine itself, inside the phase of the second.
    sample = found["overlapping_bookings", 0]
    assert (sample.value, sample.numerator, sample.denominator) == (3, 3, 2)
    # Counted for the company of the outer appointment; the inner one's has no appointment with such a phase.
    assert found["overlapping_bookings", 1].value == 3
    assert ("overlapping_bookings", 2) not in found


def test_a_phase_is_half_open_and_an_appointment_does_not_overlap_itself(app: Application) -> None:
    service = app.service(durations=(0, 30, 0))
    nine = berlin("2026-07-20 09:00")
    app.appointment(service, MORNING, starts_at=nine)  # its processing phase starts with itself
    for minutes in (-1, 0, 29, 30):
        app.appointment(None, MORNING, starts_at=nine + timedelta(minutes=minutes), phases=[])
    app.insert()
    assert overall(app, "overlapping_bookings").value == 2  # those at 0 and 29


def test_the_inner_booking_may_be_old_but_not_younger_than_the_check(app: Application) -> None:
    service = app.service()
    nine = berlin("2026-07-20 09:00")
    inner = nine + timedelta(minutes=20)
    app.appointment(None, AS_OF - timedelta(days=200), starts_at=inner, phases=[])
    app.appointment(service, AS_OF - timedelta(days=8), starts_at=nine)  # an outer one before the window
    app.appointment(service, MORNING, starts_at=nine)
    app.appointment(None, AS_OF - timedelta(seconds=1), starts_at=inner, phases=[])
    app.appointment(None, AS_OF, starts_at=inner, phases=[])
    app.insert()
    sample = overall(app, "overlapping_bookings")
    assert (sample.value, sample.denominator) == (2, 1)


def test_outer_appointments_without_staff_or_times_count_as_population_only(app: Application) -> None:
    service = app.service()
    app.appointment(service, MORNING, staff_id=None)
    app.appointment(service, MORNING)
    app.insert()
    app.run("UPDATE appointment_phases SET start_time = NULL WHERE appointment_id = 2")
    sample = overall(app, "overlapping_bookings")
    assert (sample.value, sample.denominator, sample.loss) == (0, 2, None)


def test_orphans_by_company_with_the_newest_ids(app: Application) -> None:
    one, two = app.service(company_id=1), app.service(company_id=2)
    for number in range(260):
        app.appointment(two if number % 26 == 0 else one, MORNING, phases=[])
    app.appointment(one, berlin("2026-07-14 00:00"), phases=[])
    app.appointment(one, berlin("2026-07-13 23:59"), phases=[])
    app.appointment(one, MORNING)
    app.insert()

    found = by_key(check(app, AS_OF))

    sample = found["orphaned_appointments", 0]
    assert (sample.value, sample.numerator, sample.denominator) == (261, 261, 262)
    assert sample.window.start == berlin("2026-07-14 00:00")
    newest = sorted((a.id for a in app.appointments[:261]), reverse=True)
    assert sample.detail["ids"] == newest[:100]
    assert sample.detail["ids_left_out"] == 161
    own = found["orphaned_appointments", 2]
    assert own.detail["ids"] == [a.id for a in reversed(app.appointments) if a.service is two]
    assert own.detail["ids_left_out"] == 0


def test_a_rate_lists_the_appointments_that_it_misses(app: Application) -> None:
    one, two = app.service(company_id=1), app.service(company_id=2)
    fine = [app.appointment(service, MORNING) for service in (one, two, two)]
    missed = [app.appointment(one, MORNING, phases=[]) for _ in range(103)]
    app.appointment(one, berlin("2026-07-14 23:59"), phases=[])
    app.insert()
    found = by_key(check(app, AS_OF))
    sample = found["phase_creation_success_rate", 0]
    assert (sample.numerator, sample.denominator) == (len(fine), len(fine) + 103)
    assert sample.detail["ids"] == [a.id for a in reversed(missed)][:100]
    assert sample.detail["ids_left_out"] == 3
    own = found["phase_creation_success_rate", 2]
    assert (own.detail["ids"], own.detail["ids_left_out"]) == ([], 0)


def test_stale_phases_leave_composite_ones_out(build: Build) -> None:
    app = build("deployed")
    lost, composite = app.service(has_processing_time=False), app.service(has_processing_time=False)
    fine = app.service()
    stale = app.appointment(lost, AS_OF - timedelta(days=5))
    made = app.appointment(composite, MORNING)
    for phase in made.phases:
        phase.segment_key = "A"
    both = app.appointment(composite, MORNING)
    both.phases[0].segment_key = "A"
    app.appointment(fine, MORNING)
    app.appointment(fine, MORNING, phases=[])
    app.insert()
    sample = overall(app, "stale_phases")
    assert (sample.value, sample.numerator, sample.denominator) == (2, 2, 3)
    assert sample.detail["ids"] == [both.id, stale.id]


def test_soft_deletes_as_configured(build: Build) -> None:
    app = build("deployed")
    kept, gone = app.service(), app.service(deleted=True)
    app.appointment(kept, MORNING)
    app.appointment(kept, MORNING, deleted=True)
    app.appointment(gone, MORNING)
    app.insert()
    for setting, counted in (("auto", 1), (True, 1), (False, 3)):
        settings = settings_for(app, application={"soft_deletes": setting})
        sample = overall(app, "phase_creation_success_rate", settings=settings)
        assert sample.denominator == counted, setting


def test_a_pilot_counts_only_its_companies(app: Application) -> None:
    pilot, other = app.service(company_id=2), app.service(company_id=5)
    app.appointment(pilot, MORNING)
    app.appointment(other, MORNING, phases=[])
    app.insert()
    flags = FeatureFlags(configured=True, enabled=True, company_whitelist=frozenset({2}))
    found = by_key(check(app, AS_OF, flags=flags))
    sample = found["phase_creation_success_rate", 0]
    assert (sample.value, sample.denominator) == (100, 1)
    assert ("phase_creation_success_rate", 5) not in found
    assert found["orphaned_appointments", 0].denominator == 1


def test_tables_without_rows_give_counts_of_nought_and_no_rates(app: Application) -> None:
    found = by_key(check(app, AS_OF))
    assert {company for _, company in found} == {0}
    for (key, _), sample in found.items():
        assert sample.loss is None
        assert sample.denominator == 0
        counts = ("overlapping_bookings", "orphaned_appointments", "stale_phases")
        assert sample.value == (0 if key in counts else None), key
    assert found["calcom_sync_success_rate", 0].detail["by_status"] == {}
    assert found["calcom_sync_success_rate", 0].detail["errors"] == 0


def test_flags_that_nobody_knows_cost_what_depends_on_them(app: Application) -> None:
    app.appointment(app.service(), MORNING)
    app.insert()
    unreadable = SourceUnavailable("application.env_file = /srv/.env cannot be read")
    collected = check(app, AS_OF, flags=unreadable)
    found = by_key(collected)
    lost = {key for (key, _), sample in found.items() if sample.loss}
    assert lost == {
        "phase_creation_success_rate",
        "calcom_sync_success_rate",
        "phase_distribution",
        "orphaned_appointments",
    }
    assert all("application.env_file" in found[key, 0].reason for key in lost)
    assert found["stale_phases", 0].denominator == 1
    assert (collected.facts["today"], collected.facts["traffic"]) == (None, None)
    assert collected.facts["services"] == {"with_processing_time": 1, "eligible": None}


def test_facts_for_the_summary(app: Application) -> None:
    service = app.service()
    app.service(has_processing_time=False)
    for created_at in (AS_OF - timedelta(days=3), AS_OF - timedelta(hours=47), MORNING, MORNING):
        app.appointment(service, created_at)
    app.appointment(service, MORNING, phases=[], sync="pending")
    app.insert()
    facts = check(app, AS_OF).facts
    assert facts["today"] == {"eligible": 3, "with_phases": 2}
    assert facts["sync_today"] == {"eligible": 3, "synced": 2}
    assert facts["traffic"] == 4
    assert facts["services"] == {"with_processing_time": 1, "eligible": 1}
    assert facts["boundary"] == {"appointments": "plain range"}


def test_facts_do_not_need_the_metrics(app: Application) -> None:
    app.appointment(app.service(), MORNING)
    app.insert()
    settings = settings_for(
        app, {key: {"enabled": False} for key in ("phase_creation_success_rate", "calcom_sync_success_rate")}
    )
    collected = check(app, AS_OF, settings=settings)
    assert collected.facts["today"] == {"eligible": 1, "with_phases": 1}
    assert collected.facts["sync_today"] == {"eligible": 1, "synced": 1}
    assert "phase_creation_success_rate" not in {s.metric for s in collected.samples}


def test_a_metric_may_look_at_another_window(app: Application) -> None:
    service = app.service()
    app.appointment(service, AS_OF - timedelta(days=2), phases=[])
    app.insert()
    week = settings_for(app, {"phase_creation_success_rate": {"window": "7_days"}})
    sample = overall(app, "phase_creation_success_rate", settings=week)
    assert (sample.value, sample.denominator) == (0, 1)


def test_phases_made_for_the_outer_appointment_later_still_count(app: Application) -> None:
    """Phases made again when an appointment moves have the newest ids; those of a younger one lie below them."""
    service = app.service()
    nine = berlin("2026-07-20 09:00")
    early, late = (app.appointment(service, MORNING, starts_at=nine, phases=[]) for _ in range(2))
    late.phases = phases_of(service, nine)
    app.insert()
    early.phases = phases_of(service, nine)
    app.run(
        *(
            "INSERT INTO appointment_phases (appointment_id, phase_type, staff_required, start_time, end_time)"
            f" VALUES ({early.id}, '{p.type}', {int(p.staff_required)}, '{p.starts_at:%F %T}', '{p.ends_at:%F %T}')"
            for p in early.phases
        )
    )
    found = by_key(check(app, AS_OF))
    assert found["phase_creation_success_rate", 0].value == 100
    assert found["overlapping_bookings", 0].denominator == 2
