# SPDX-License-Identifier: MIT
"""A month's figures from the rows, in both worlds, against a second count without SQL; and what reading it costs."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time.model import ALL_COMPANIES, SourceUnavailable
from processing_time.reports import monthly_rows
from processing_time.reports.monthly_period import window as month_window
from processing_time.reports.monthly_rows import Rows
from processing_time.settings import Settings
from processing_time.sources.feature_flags import FeatureFlags
from tests.sql import reference
from tests.sql.application import BERLIN, Application, Phase, phases_of
from tests.sql.conftest import METRICS, Build, settings_for
from tests.sql.recording import Recording
from tests.sql.test_metrics_recounted import flag_variants

JULY, MARCH, OCTOBER = date(2026, 7, 1), date(2026, 3, 1), date(2026, 10, 1)
DECEMBER, JANUARY, LEAP = date(2025, 12, 1), date(2026, 1, 1), date(2024, 2, 1)
MINUTE = timedelta(seconds=60)


def bounds(month: date) -> tuple[datetime, datetime]:
    """The local midnights that a month begins and ends with, without the code that is tested."""
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    start, end = (datetime(day.year, day.month, 1, tzinfo=BERLIN).astimezone(UTC) for day in (month, after))
    return start, end


def measure(
    app: Application,
    month: date,
    *,
    flags: FeatureFlags | SourceUnavailable | None = None,
    settings: Settings | None = None,
    connect: Callable[[], Any] | None = None,
) -> Rows:
    return monthly_rows.read(
        connect or app.connect,
        settings or settings_for(app),
        month_window(month, BERLIN),
        flags or FeatureFlags(),
        MINUTE,
    )


def figures(rows: Rows) -> dict[tuple[str, int], tuple[float | None, float | None]]:
    found = {(s.metric, s.company_id): (s.numerator, s.denominator) for s in rows.samples}
    assert len(found) == len(rows.samples)
    return found


def populate(app: Application, month: date, seed: int) -> None:
    """Rows of every kind around and in a month; company 7 starts in its middle, company 3 ends there."""
    chance = random.Random(seed)
    start, end = bounds(month)
    for number in range(14):
        app.service(
            company_id=(1, 2, 3, 7, None)[number % 5],
            has_processing_time=number % 3 != 0,
            durations=chance.choice([(15, 30, 15), (15, 30, 0), (None, 20, 10), (10, 45, 10)]),
            deleted=app.world == "deployed" and number in (4, 9),
        )
    middle = start + (end - start) / 2
    moments = [edge + timedelta(seconds=s) for edge in (start, end) for s in (-7200, -3600, -1, 0, 1, 3600)]
    moments += [start + timedelta(seconds=chance.randrange(-10 * 86_400, 41 * 86_400)) for _ in range(420)]
    for created_at in sorted(moments):
        service = chance.choice(app.services)
        if (service.company_id == 7 and created_at < middle) or (
            service.company_id == 3 and created_at > middle
        ):
            service = app.services[1]
        # Few members of staff on few days, some far off, so that bookings meet and stretches have gaps.
        day = chance.choice([0, 0, 0, 1, 1, 2, 9, 60, -200])
        starts_at = start + timedelta(days=12 + day, hours=8, minutes=5 * chance.randrange(60))
        made = app.appointment(
            service if chance.random() < 0.97 else None,
            created_at if chance.random() < 0.99 else None,
            starts_at=starts_at,
            staff_id=chance.choice(["anna", "ben", "cleo", None]),
            sync=chance.choice([*["synced"] * 8, app.error, "pending", None]),
            deleted=app.world == "deployed" and chance.random() < 0.05,
            phases=[],
        )
        if (
            made.service
            and (made.service.has_processing_time or chance.random() < 0.2)
            and chance.random() < 0.8
        ):
            made.phases = phases_of(made.service, starts_at)
            if chance.random() < 0.1:
                made.phases.pop()
        if app.world == "deployed" and chance.random() < 0.1:
            ends_at = starts_at + timedelta(minutes=20)
            made.phases.append(
                Phase("processing", starts_at, ends_at, chance.random() < 0.5, segment_key="A")
            )
    app.insert()


def counted(app: Application, month: date, flags: FeatureFlags) -> dict[tuple[str, int], reference.Figure]:
    """Every figure of a month, row by row."""
    start, end = bounds(month)
    alive = [
        a
        for a in app.appointments
        if not a.deleted and a.created_at and not (a.service and a.service.deleted)
    ]
    eligible = [a for a in alive if a.service and reference._eligible(a.service, flags)]
    own = [a for a in alive if a.service and any(not p.segment_key for p in a.phases)]
    outer = [a for a in alive if any(not p.staff_required for p in a.phases)]
    before = [a for a in alive if a.created_at and a.created_at < end]
    found: dict[tuple[str, int], reference.Figure] = {}
    for company, rows in reference._by_company(reference._between(eligible, start, end)):
        have = [a for a in rows if a.phases]
        synced = sum(a.sync == "synced" for a in rows)
        reference._keep(found, "phase_creation_success_rate", company, len(have), len(rows), rate=True)
        reference._keep(found, "calcom_sync_success_rate", company, synced, len(rows), rate=True)
        reference._keep(found, "orphaned_appointments", company, len(rows) - len(have), len(rows))
        total = sum(len(a.phases) for a in have)
        found["phase_distribution", company] = reference.Figure(reference._deviation(have), total, len(have))
    for company, rows in reference._by_company(reference._between(own, start, end)):
        stale = [a for a in rows if a.service and not a.service.has_processing_time]
        reference._keep(found, "stale_phases", company, len(stale), len(rows))
    for company, rows in reference._by_company(reference._between(outer, start, end)):
        inner = {b.id for a in rows for b in before if reference._starts_inside(b, a)}
        reference._keep(found, "overlapping_bookings", company, len(inner), len(rows))
    return found


def compare(app: Application, month: date, flags: FeatureFlags) -> None:
    rows = measure(app, month, flags=flags)
    assert not [s for s in rows.samples if s.loss]
    expected = counted(app, month, flags)
    assert figures(rows) == {key: (f.numerator, f.denominator) for key, f in expected.items()}
    for s in rows.samples:
        value = expected[s.metric, s.company_id].value
        assert s.value == (value if value is None else pytest.approx(value)), s
    assert {s.metric for s in rows.samples if s.company_id == ALL_COMPANIES} == set(METRICS)


@pytest.mark.parametrize("month", [JULY, MARCH, OCTOBER, DECEMBER, JANUARY, LEAP], ids=str)
def test_every_figure_of_a_month(app: Application, month: date) -> None:
    populate(app, month, seed=month.month)
    for flags in flag_variants(app):
        compare(app, month, flags)
    overlaps = counted(app, month, FeatureFlags())["overlapping_bookings", 0]
    assert overlaps.numerator > 20, "the rows meet"


def test_companies_that_start_and_end_in_the_middle_count_from_and_up_to_then(app: Application) -> None:
    populate(app, JULY, seed=3)
    found = figures(measure(app, JULY))
    start, end = bounds(JULY)
    for company in (3, 7):
        of_it = [
            a for a in app.appointments if a.service and a.service.company_id == company and a.created_at
        ]
        instants = [a.created_at for a in of_it if a.created_at and start <= a.created_at < end]
        assert instants
        assert (max(instants) if company == 3 else min(instants)).astimezone(BERLIN).day in range(14, 19)
        assert found["phase_creation_success_rate", company][1]


def test_an_application_that_writes_local_times(build: Build) -> None:
    app = build("deployed", timezone=ZoneInfo("America/New_York"))
    populate(app, OCTOBER, seed=5)
    compare(app, OCTOBER, FeatureFlags())


def test_an_empty_month_has_a_row_of_noughts_for_all_companies_and_none_else(app: Application) -> None:
    app.appointment(app.service(), datetime(2026, 6, 30, 21, 59, 59, tzinfo=UTC))
    app.insert()
    rows = measure(app, JULY)
    assert figures(rows) == {(key, 0): (0, 0) for key in METRICS}
    assert {s.metric: s.value for s in rows.samples if s.value is not None} == {
        "orphaned_appointments": 0,
        "overlapping_bookings": 0,
        "stale_phases": 0,
    }
    assert rows.counted
    assert rows.counted.appointments == 0


def test_the_last_minute_counts_and_the_first_of_the_next_month_does_not(app: Application) -> None:
    """A month that is over has no grace: nothing in it is still in the making."""
    service = app.service()
    _, end = bounds(MARCH)
    app.appointment(service, end - timedelta(seconds=1), phases=[])
    app.appointment(service, end)
    app.insert()
    assert figures(measure(app, MARCH))["orphaned_appointments", 0] == (1, 1)


class TestFaults:
    def test_without_the_sync_column_only_its_metric_is_lost(self, app: Application) -> None:
        populate(app, JULY, seed=1)
        settings = settings_for(app, application={"sync_status_column": "sync_state"})
        rows = measure(app, JULY, settings=settings)
        lost = {s.metric: s.reason for s in rows.samples if s.loss}
        assert lost == {
            "calcom_sync_success_rate": "appointments has no column sync_state: set application.sync_status_column"
        }
        expected = counted(app, JULY, FeatureFlags())
        found = figures(rows)
        assert found["orphaned_appointments", 0] == expected["orphaned_appointments", 0][1:]

    def test_without_the_table_of_phases_nothing_is_measured_and_said_so(self, app: Application) -> None:
        app.run("DROP TABLE appointment_phases")
        rows = measure(app, JULY)
        assert {s.metric for s in rows.samples if s.loss} == set(METRICS)
        assert all("appointment_phases" in s.reason for s in rows.samples)
        assert rows.counted is None

    def test_flags_that_cannot_be_read_cost_what_depends_on_them(self, app: Application) -> None:
        populate(app, JULY, seed=2)
        rows = measure(app, JULY, flags=SourceUnavailable("no .env"))
        assert {s.metric for s in rows.samples if s.loss} == set(METRICS) - {
            "overlapping_bookings",
            "stale_phases",
        }

    def test_a_server_that_takes_too_long_is_an_error(self, app: Application) -> None:
        with pytest.raises(SourceUnavailable, match="statement_timeout"):
            monthly_rows.read(
                lambda: Recording(app.connect(), _slow),
                settings_for(app),
                month_window(JULY, BERLIN),
                FeatureFlags(),
                MINUTE,
            )


def _slow(sql: str) -> None:
    if "own_phases" in sql:
        import MySQLdb

        raise MySQLdb.OperationalError(1969, "max_statement_time exceeded")


class TestOwnMetrics:
    """A metric of the user's own is measured by its file, over the month."""

    @pytest.fixture
    def own(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        import shutil

        from processing_time.settings import SQL
        from processing_time.sources import queries

        shutil.copytree(SQL, tmp_path / "sql")
        monkeypatch.setattr(queries, "SQL", tmp_path / "sql")
        return tmp_path / "sql" / "metrics"

    @pytest.mark.parametrize("name", ["phase_creation_success_rate", "phase_creation_burn_rate"])
    def test_by_its_file(self, app: Application, own: Any, name: str) -> None:
        (own / "ours.sql").write_text((own / f"{name}.sql").read_text())
        populate(app, JULY, seed=4)
        shipped = settings_for(app, {name: {}})
        settings = shipped.model_copy(update={"metrics": {**shipped.metrics, "ours": shipped.metrics[name]}})
        found = measure(app, JULY, settings=settings).samples
        ours = {s.company_id: (s.value, s.numerator, s.denominator) for s in found if s.metric == "ours"}
        theirs = {s.company_id: (s.value, s.numerator, s.denominator) for s in found if s.metric == name}
        assert ours == theirs
        assert len(ours) > 2


def test_an_error_budget_is_what_failed_of_what_may(app: Application) -> None:
    populate(app, JULY, seed=6)
    settings = settings_for(app, {"phase_creation_burn_rate": {}, "calcom_sync_burn_rate": {}})
    found = {(s.metric, s.company_id): s for s in measure(app, JULY, settings=settings).samples}
    for burn, rate in (("phase_creation", "success_rate"), ("calcom_sync", "success_rate")):
        sample, good = found[f"{burn}_burn_rate", 0], found[f"{burn}_{rate}", 0]
        assert (sample.numerator, sample.denominator) == (good.denominator - good.numerator, good.denominator)
        assert sample.value == pytest.approx(100 - good.value)


class TestWork:
    """One pass over the month, and memory that does not grow with it."""

    def fill(self, app: Application, appointments: int) -> None:
        """So many appointments in July, of a hundred companies."""
        for company in range(1, 101):
            app.service(company_id=company, has_processing_time=company % 2 == 0)
        app.insert()
        digits = " UNION ALL ".join(f"SELECT {d} AS d" for d in range(10))
        numbers = " + ".join(f"t{p}.d * {10**p}" for p in range(5))
        tables = ", ".join(f"({digits}) AS t{p}" for p in range(5))
        ids = ", ".join(f"'{s.id}'" for s in app.services)
        app.run(
            f"CREATE TABLE numbers (n INT PRIMARY KEY) AS SELECT {numbers} AS n FROM {tables} HAVING n < {appointments}",
            f"""INSERT INTO appointments (id, service_id, staff_id, starts_at, {app.sync_column}, created_at)
                SELECT n + 1, ELT(1 + n MOD 100, {ids}), CONCAT('staff-', n MOD 40),
                    '2026-07-05 08:00:00' + INTERVAL (n * 7919 MOD 20000) MINUTE, 'synced',
                    '2026-07-01 00:00:00' + INTERVAL (n * 2500000 DIV {appointments}) SECOND FROM numbers""",
            """INSERT INTO appointment_phases (appointment_id, phase_type, staff_required, start_time, end_time)
                SELECT a.id, ELT(p.n + 1, 'initial', 'processing', 'final'), p.n <> 1,
                    a.starts_at + INTERVAL p.n * 20 MINUTE, a.starts_at + INTERVAL (p.n + 1) * 20 MINUTE
                FROM appointments AS a CROSS JOIN numbers AS p WHERE a.id MOD 2 = 0 AND p.n < 3""",
            "DROP TABLE numbers",
            "ANALYZE TABLE appointments, appointment_phases, services",
        )

    def test_statements_and_rows_read(self, app: Application) -> None:
        self.fill(app, 4000)
        recording = Recording(app.connect())
        rows = measure(app, JULY, connect=lambda: recording)
        asked = [sql for sql, _ in recording.statements if "appointment" in sql.partition("FROM")[2]]
        assert [sql.count("own_phases") > 0 for sql in asked] == [True, False], "one pass, and the bookings"
        assert figures(rows)["phase_creation_success_rate", 0] == (2000, 2000)
        assert len({company for _, company in figures(rows)}) == 51
        # Appointments and phases once each, the groups of both, and for the bookings the same and their order.
        assert recording.rows_read < 20 * 4000, recording.rows_read

    def test_memory_does_not_grow_with_the_month(self, build: Build) -> None:
        peaks = []
        for appointments in (20_000, 60_000):
            app = build("deployed")
            self.fill(app, appointments)
            settings = settings_for(app)
            measure(app, JULY, settings=settings)  # what is imported and cached once
            tracemalloc.start()
            rows = measure(app, JULY, settings=settings)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert figures(rows)["overlapping_bookings", 0][1] == appointments // 2
        small, large = peaks
        # Pages of ten thousand rows are held at a time: forty thousand rows more would be some ten megabytes.
        assert large < small + 1_000_000, peaks
