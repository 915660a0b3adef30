# SPDX-License-Identifier: MIT
"""The weekly report's figures over random rows, in both worlds, against a second count without SQL."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from processing_time.model import SourceUnavailable
from processing_time.reports import weekly_figures, weekly_rows
from processing_time.reports.weekly_figures import ADOPTION, SHARE
from processing_time.reports.weekly_period import Week
from processing_time.reports.weekly_rows import Rows
from processing_time.sources.boundaries import Watermark
from processing_time.sources.feature_flags import FeatureFlags
from tests.sql.application import BERLIN, Application, Service
from tests.sql.conftest import METRICS, settings_for
from tests.sql.recording import Recording
from tests.sql.reference import figures
from tests.sql.test_metrics_recounted import flag_variants, populate

WEEKS = {
    "ordinary": (date(2026, 7, 6), 168),
    "the clocks go forward": (date(2026, 3, 23), 167),
    "the clocks go back": (date(2026, 10, 19), 169),
    "week 53": (date(2020, 12, 28), 168),
    "week 1 across the year's end": (date(2024, 12, 30), 168),
    "any seven days": (date(2026, 7, 9), 168),
}


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), BERLIN).astimezone(UTC)


def read(app: Application, week: Week, flags: FeatureFlags | SourceUnavailable, **more: object) -> Rows:
    return weekly_rows.read(app.connect, settings_for(app), week, flags, **more)


def seen(
    app: Application, rows: Rows, week: Week, which: int = 1
) -> dict[tuple[str, int], tuple[float, float]]:
    """By metric and company, numerator and denominator."""
    samples = weekly_figures.measure(rows.counted[which], week.window, settings_for(app))
    assert len({(s.metric, s.company_id) for s in samples}) == len(samples)
    return {(s.metric, s.company_id): (s.numerator, s.denominator) for s in samples if s.metric in METRICS}


def expected(app: Application, week: Week, flags: FeatureFlags) -> dict[tuple[str, int], tuple[float, float]]:
    """The same by a count of its own, that of a check: as if all of the week had been created an hour before it."""
    start, end = midnight(week.first), midnight(week.first + timedelta(days=7))
    counted = copy(app)
    counted.appointments = [
        replace(a, created_at=end + timedelta(hours=11 if a.created_at >= start else -1000))
        for a in app.appointments
        if a.created_at and a.created_at < end
    ]
    found = figures(counted, end + timedelta(hours=12), flags)
    return {key: (f.numerator, f.denominator) for key, f in found.items()}


@pytest.fixture(params=WEEKS, ids=str)
def week(request: pytest.FixtureRequest) -> Week:
    first, hours = WEEKS[request.param]
    found = Week(first, BERLIN)
    assert found.window.length == timedelta(hours=hours)
    return found


def fill(app: Application, week: Week) -> int:
    """Rows around each bound of both weeks, and within them; the id above which they were imported later."""
    populate(app, week.window.end, seed=week.number)
    last = max(a.id for a in app.appointments)
    for n, day in enumerate(week.previous.days):
        for second in (-1, 0, 1):
            service = app.services[(n + second) % len(app.services)]
            number = last + 10 + 3 * n + second
            app.appointment(service, day.start + timedelta(seconds=second), number=number)
    app.insert()
    return last


def test_every_figure_of_both_weeks(app: Application, week: Week) -> None:
    fill(app, week)
    for flags in flag_variants(app):
        rows = read(app, week, flags)
        assert seen(app, rows, week) == expected(app, week, flags)
        assert seen(app, rows, week.previous, 0) == expected(app, week.previous, flags)


def test_the_days_are_those_of_the_week_and_add_up(app: Application, week: Week) -> None:
    fill(app, week)
    rows = read(app, week, FeatureFlags())
    alive = [
        a
        for a in app.appointments
        if a.created_at and not a.deleted and not (a.service and a.service.deleted)
    ]
    dates = [*week.previous.dates, *week.dates]
    assert [day.appointments for day in rows.days] == [
        sum(a.created_at.astimezone(BERLIN).date() == date for a in alive) for date in dates
    ]
    assert sum(day.appointments for day in rows.days[7:]) == rows.counted[1].appointments


def test_adoption_and_share(app: Application, week: Week) -> None:
    fill(app, week)
    start, end = week.window.start, week.window.end
    alive = [
        a
        for a in app.appointments
        if a.created_at
        and start <= a.created_at < end
        and not a.deleted
        and not (a.service and a.service.deleted)
    ]
    on = [s for s in app.services if s.has_processing_time and not s.deleted]
    rows = read(app, week, FeatureFlags())
    samples = weekly_figures.measure(rows.counted[1], week.window, settings_for(app))
    found = {(s.metric, s.company_id): (s.numerator, s.denominator) for s in samples}
    for company in (0, *{s.company_id for s in on} - {None}):
        own = [s for s in on if company in (0, s.company_id)]
        theirs = [a for a in alive if company == 0 or (a.service and a.service.company_id == company)]
        split = [a for a in theirs if a.service in own]
        assert found[ADOPTION, company] == (len({a.service.id for a in split}), len(own))
        assert found[SHARE, company] == (len(split), len(theirs))


def test_orphans_are_the_newest_of_the_week(app: Application, week: Week) -> None:
    fill(app, week)
    rows = read(app, week, FeatureFlags())
    start, end = week.window.start, week.window.end
    without = [
        a
        for a in app.appointments
        if a.created_at
        and start <= a.created_at < end
        and a.service
        and a.service.has_processing_time
        and not (a.deleted or a.service.deleted or a.phases)
    ]
    for company in {a.service.company_id for a in without}:
        own = sorted((a.id for a in without if a.service.company_id == company), reverse=True)
        assert [i for c, i in rows.orphans if c == company] == own[: weekly_rows.IDS_SHOWN]


def test_bookings_carry_the_local_day_on_which_they_start_and_their_service(
    app: Application, week: Week
) -> None:
    fill(app, week)
    rows = read(app, week, FeatureFlags())
    by_id = {a.id: a for a in app.appointments}
    assert set(rows.bookings) == set(rows.overlapping[1].inner[0])
    assert rows.bookings
    for id_, booking in rows.bookings.items():
        made = by_id[id_]
        assert booking.day == made.starts_at.astimezone(BERLIN).date()
        assert booking.service_id == (made.service.id if made.service else None)


@pytest.fixture
def summer() -> Week:
    return Week(WEEKS["ordinary"][0], BERLIN)


def test_an_empty_week(app: Application, summer: Week) -> None:
    app.service()
    app.appointment(app.services[0], summer.window.end)
    app.appointment(app.services[0], summer.previous.window.start - timedelta(seconds=1))
    app.insert()
    rows = read(app, summer, FeatureFlags())
    assert set(seen(app, rows, summer).values()) == {(0, 0)}
    assert seen(app, rows, summer).keys() == {(key, 0) for key in METRICS}
    assert weekly_figures.used(rows.counted[1]) == frozenset()


def test_a_company_that_starts_and_one_that_ends_in_the_middle(app: Application, summer: Week) -> None:
    middle = summer.window.start + timedelta(days=3)
    old, starting, ending = (app.service(company_id=company) for company in (1, 2, 3))
    for hours in range(-7 * 24, 7 * 24, 3):
        at = summer.window.start + timedelta(hours=hours)
        app.appointment(old, at, staff_id=None)
        app.appointment(starting if at >= middle else ending, at, staff_id=None)
    app.insert()
    rows = read(app, summer, FeatureFlags())
    now, before = seen(app, rows, summer), seen(app, rows, summer.previous, 0)
    key = "phase_creation_success_rate"
    assert (now[key, 2], now[key, 3], now[key, 1]) == ((32, 32), (24, 24), (56, 56))
    assert (before.get((key, 2)), before[key, 3]) == (None, (56, 56))
    assert now == expected(app, summer, FeatureFlags())


@pytest.mark.parametrize("hours", [15 * 24, 8 * 24, 1], ids="watermark {} h before".format)
def test_watermarks_change_nothing_but_the_work(app: Application, summer: Week, hours: int) -> None:
    last = fill(app, summer)
    at = summer.window.end - timedelta(hours=hours)
    seen_then = [a.id for a in app.appointments if a.created_at and a.created_at < at and a.id <= last]
    mark = Watermark(at, max(seen_then, default=0), 0)
    rows = read(app, summer, FeatureFlags(), watermarks=[mark])
    assert seen(app, rows, summer) == expected(app, summer, FeatureFlags())


def test_appointments_and_phases_are_read_once(app: Application, summer: Week) -> None:
    fill(app, summer)
    recording = Recording(app.connect())
    weekly_rows.read(lambda: recording, settings_for(app), summer, FeatureFlags())
    passes = [sql for sql, _ in recording.statements if "appointment_phases" in sql and "GROUP BY" in sql]
    assert len(passes) == 1
    assert sum("START TRANSACTION" in sql for sql, _ in recording.statements) == 1
    assert recording.closed


def test_without_the_sync_column_only_that_metric_is_missing(app: Application, summer: Week) -> None:
    fill(app, summer)
    settings = settings_for(app, application={"sync_status_column": "sync_state"})
    rows = weekly_rows.read(app.connect, settings, summer, FeatureFlags())
    samples = weekly_figures.measure(rows.counted[1], summer.window, settings)
    assert {s.metric: s.reason for s in samples if s.loss} == {
        "calcom_sync_success_rate": "appointments has no column sync_state: set application.sync_status_column"
    }


def test_without_flags_what_depends_on_them_says_why(app: Application, summer: Week) -> None:
    fill(app, summer)
    rows = read(app, summer, SourceUnavailable("the .env cannot be read"))
    samples = weekly_figures.measure(rows.counted[1], summer.window, settings_for(app))
    measured = {s.metric for s in samples if not s.loss}
    assert measured == {"overlapping_bookings", "stale_phases"}
    assert {s.reason for s in samples if s.loss} == {"the .env cannot be read"}
    assert rows.orphans == []


def test_names_where_services_have_them(app: Application, summer: Week) -> None:
    service: Service = app.service()
    app.insert()
    assert read(app, summer, FeatureFlags()).names == {}
    app.run("ALTER TABLE services ADD name VARCHAR(255)", "UPDATE services SET name = 'Farbe & Schnitt'")
    assert read(app, summer, FeatureFlags()).names == {service.id: "Farbe & Schnitt"}
