# SPDX-License-Identifier: MIT
"""What a check reads grows with its windows and not with the tables, and its numbers never depend on how it found them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import MySQLdb
import pytest

from processing_time import settings as settings_module
from processing_time.settings import Settings
from processing_time.sources import snapshot
from processing_time.sources.boundaries import BY_SCAN, BY_WATERMARK, Watermark
from tests.sql.application import SCHEMA, Application, berlin
from tests.sql.conftest import Build, by_key, check, settings_for
from tests.sql.recording import Recording

AS_OF = berlin("2026-07-15 14:00")
A_DAY = 400
SMALL, LARGE = 20, 100
"""Days of data."""
MYSQL = settings_module.load().enabled("mysql")


def last_evening(days_before: int) -> datetime:
    return berlin("2026-07-14 20:00") - timedelta(days=days_before)


def mark(app: Application, at: datetime) -> Watermark:
    """What a check at that time kept."""
    (highest,) = app.run(f"SELECT COALESCE(MAX(id), 0) FROM appointments WHERE created_at < '{at:%F %T}'")[0]
    return Watermark(at, highest, 0)


def fill(app: Application, days: int) -> None:
    """So many days up to now with the same number of appointments each, half with processing time; an eighth of those
    lacks its phases, an eighth of the others has some.
    """
    for number in range(8):
        app.service(company_id=1 + number % 3, has_processing_time=number % 2 == 0)
    app.insert()
    ids = [s.id for s in app.services]
    rows, end = days * A_DAY, f"{AS_OF:%F %T}"
    age = f"(({rows} - n) * 86400 DIV {A_DAY})"
    digits = " UNION ALL ".join(f"SELECT {d} AS d" for d in range(10))
    numbers = " + ".join(f"t{p}.d * {10**p}" for p in range(6))
    tables = ", ".join(f"({digits}) AS t{p}" for p in range(6))
    service = "ELT(1 + n MOD 8, " + ", ".join(f"'{i}'" for i in ids) + ")"
    app.run(
        f"CREATE TABLE numbers (n INT PRIMARY KEY) AS SELECT {numbers} AS n FROM {tables} HAVING n < {rows}",
        f"""INSERT INTO appointments (id, service_id, staff_id, starts_at, {app.sync_column}, created_at)
            SELECT n + 1, {service}, CONCAT('staff-', ({rows} - n) MOD 7),
                TIMESTAMP('{end}') - INTERVAL {age} SECOND + INTERVAL (({rows} - n) * 7919 MOD 14) DAY, 'synced',
                TIMESTAMP('{end}') - INTERVAL {age} + 1 SECOND
            FROM numbers ORDER BY n""",
        """INSERT INTO appointment_phases (appointment_id, phase_type, staff_required, start_time, end_time)
            SELECT a.id, ELT(p.n + 1, 'initial', 'processing', 'final'), p.n <> 1,
                a.starts_at + INTERVAL p.n * 20 MINUTE, a.starts_at + INTERVAL (p.n + 1) * 20 MINUTE
            FROM appointments AS a CROSS JOIN numbers AS p
            WHERE (a.id MOD 2 = 1 AND a.id MOD 16 <> 1 OR a.id MOD 16 = 2) AND p.n < 3 ORDER BY a.id, p.n""",
        "DROP TABLE numbers",
        "ANALYZE TABLE appointments, appointment_phases, services",
    )


def read_by(
    app: Application, marks: list[Watermark], settings: Settings | None = None
) -> tuple[Recording, dict[str, Any]]:
    recording = Recording(app.connect())
    collected = check(app, AS_OF, watermarks=marks, settings=settings, connect=lambda: recording)
    assert not [s for s in collected.samples if s.loss]
    return recording, {f"{k} {c}": (s.numerator, s.denominator) for (k, c), s in by_key(collected).items()}


def marks_of(app: Application) -> list[Watermark]:
    return [mark(app, last_evening(days)) for days in range(10)]


def test_rows_read_do_not_grow_with_the_tables(build: Build) -> None:
    """Each metric alone, those of an error budget too, and all of them."""
    read: dict[int, dict[str, int]] = {}
    figures = {}
    for days in (SMALL, LARGE):
        app = build("deployed")
        fill(app, days)
        marks = marks_of(app)
        recording, figures[days] = read_by(app, marks)
        read[days] = {"all": recording.rows_read}
        for key in MYSQL:
            recording, _ = read_by(app, marks, alone(app, key))
            read[days][key] = recording.rows_read
    assert figures[SMALL] == figures[LARGE]
    assert read[LARGE] == pytest.approx(read[SMALL], rel=0.1)
    # Eight days of appointments are walked a few times over, their phases too; the tables are five times as long.
    assert read[LARGE]["all"] < 25 * 8 * A_DAY
    assert all(rows > A_DAY / 2 for rows in read[LARGE].values())


def alone(app: Application, key: str) -> Settings:
    """The settings with one of the shipped metrics enabled."""
    whole = settings_for(app, {name: {} for name in MYSQL})
    metrics = {name: m.model_copy(update={"enabled": name == key}) for name, m in whole.metrics.items()}
    return whole.model_copy(update={"metrics": metrics})


@pytest.mark.parametrize("level", [None, "SERIALIZABLE"])
def test_a_check_locks_no_row(app: Application, level: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two of its statements others can lock every row; in another isolation level they could not."""
    fill(app, 1)
    other = Locker(app)
    if level:
        monkeypatch.setattr(
            snapshot,
            "session_statements",
            lambda *_: [f"SET SESSION TRANSACTION ISOLATION LEVEL {level}", "START TRANSACTION"],
        )
    recording = Recording(app.connect(), before=lambda _: other.lock_everything())
    check(app, AS_OF, connect=lambda: recording)
    assert len(recording.statements) > 10
    assert bool(other.refused) == bool(level)


class Locker:
    """Another client of the application's database."""

    def __init__(self, app: Application) -> None:
        self.refused = 0
        self._app = app

    def lock_everything(self) -> None:
        """Lock all rows and let go again, without waiting for anybody."""
        try:
            self._app.run(
                *(
                    f"SELECT * FROM {table} FOR UPDATE NOWAIT"
                    for table in ("appointments", "appointment_phases", "services")
                )
            )
        except MySQLdb.OperationalError:
            self.refused += 1


@pytest.mark.parametrize("days", [SMALL, LARGE])
def test_every_statement_reads_the_tables_by_a_bounded_range(app: Application, days: int) -> None:
    fill(app, days)
    recording, _ = read_by(app, marks_of(app))
    planned = 0
    with contextlib.closing(app.connect(database=SCHEMA)) as connection, connection.cursor() as cursor:
        for sql, values in recording.statements:
            if "appointment" not in sql.partition("FROM")[2]:
                continue
            cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {sql}", values)
            names = [column[0] for column in cursor.description]
            for step in (dict(zip(names, row, strict=True)) for row in cursor.fetchall()):
                if step["table"] in ("a", "ph"):
                    planned += 1
                    assert step["type"] in ("range", "ref", "eq_ref", "const"), (sql, step)
    assert planned > 10


def test_without_a_watermark_one_statement_reads_the_table_and_the_others_do_not(build: Build) -> None:
    app = build("deployed")
    fill(app, LARGE)
    with_marks, figures = read_by(app, marks_of(app))
    without, the_same = read_by(app, [])
    assert the_same == figures
    # One walk along the table, and a short one along eight days for each of the other windows.
    assert without.rows_read < with_marks.rows_read + (LARGE + 3 * 8) * A_DAY


class TestWatermarks:
    """Which of them serve, and that the numbers are right when none does."""

    def way(self, app: Application, marks: list[Watermark], as_of: datetime = AS_OF) -> set[str]:
        collected = check(app, as_of, watermarks=marks)
        return {s.detail["boundary"] for s in collected.samples}

    @pytest.fixture
    def few(self, app: Application) -> Application:
        """An appointment an hour for three weeks, oldest first."""
        service = app.service()
        for hours in range(21 * 24, 0, -1):
            app.appointment(service, AS_OF - timedelta(hours=hours))
        app.insert()
        return app

    def test_from_before_the_longest_window_serves_all(self, few: Application) -> None:
        assert self.way(few, [mark(few, last_evening(8))]) == {BY_WATERMARK}

    def test_from_yesterday_serves_today(self, few: Application) -> None:
        found = by_key(check(few, AS_OF, watermarks=[mark(few, last_evening(0))]))
        assert found["phase_creation_success_rate", 0].detail["boundary"] == BY_WATERMARK
        assert found["calcom_sync_success_rate", 0].detail["boundary"] == BY_SCAN
        assert found["phase_creation_success_rate", 0].denominator == 14
        assert found["calcom_sync_success_rate", 0].denominator == 7 * 24 + 14

    def test_none_or_one_from_inside_the_window_does_not_serve(self, few: Application) -> None:
        assert self.way(few, []) == {BY_SCAN}
        assert self.way(few, [mark(few, AS_OF - timedelta(hours=1))]) == {BY_SCAN}

    def test_half_an_hour_before_the_window_is_the_latest(self, few: Application) -> None:
        midnight = berlin("2026-07-15 00:00")
        for minutes, way in ((30, BY_WATERMARK), (29, BY_SCAN)):
            found = by_key(check(few, AS_OF, watermarks=[mark(few, midnight - timedelta(minutes=minutes))]))
            assert found["phase_creation_success_rate", 0].detail["boundary"] == way

    def test_rows_with_old_times_that_were_imported_today(self, few: Application) -> None:
        """New ids, old creation times, in the middle of today's: a search by time would go wrong here."""
        service = few.services[0]
        marks = [mark(few, last_evening(days)) for days in range(9)]
        for day in range(400):
            few.appointment(service, AS_OF - timedelta(days=30 + day), phases=[])
        late = few.appointment(service, AS_OF - timedelta(minutes=5), phases=[])
        few.appointment(service, berlin("2026-07-14 23:59"), phases=[])
        few.insert()
        for given, way in ((marks, BY_WATERMARK), ([], BY_SCAN)):
            found = by_key(check(few, AS_OF, watermarks=given))
            sample = found["orphaned_appointments", 0]
            assert (sample.value, sample.denominator) == (2, 24 + 14 + 2)
            assert sample.detail["boundary"] == way
            assert sorted(sample.detail["ids"]) == [late.id, late.id + 1]
            assert found["phase_creation_success_rate", 0].denominator == 14 + 1

    def test_ids_that_start_again_are_noticed(self, few: Application) -> None:
        """The tables were emptied and filled anew: today's rows lie below an old watermark."""
        marks = [mark(few, last_evening(days)) for days in range(9)]
        few.appointments.clear()
        for minute in range(100):
            few.appointment(few.services[0], AS_OF - timedelta(minutes=200 - minute), number=minute + 1)
        few.insert()
        found = by_key(check(few, AS_OF, watermarks=marks))
        assert found["phase_creation_success_rate", 0].denominator == 100
        assert found["phase_creation_success_rate", 0].detail["boundary"] == BY_SCAN

    def test_a_restored_dump_gives_ids_again(self, few: Application) -> None:
        """The last row of today's is an import with an old time, and the watermark is ahead of them all."""
        marks = [mark(few, last_evening(days)) for days in range(9)]
        few.appointments = [a for a in few.appointments if a.id <= marks[0].appointments - 10]
        number = few.appointments[-1].id
        for minutes in (30, 20, 10):
            number += 1
            few.appointment(few.services[0], AS_OF - timedelta(minutes=minutes), phases=[], number=number)
        few.appointment(few.services[0], AS_OF - timedelta(days=30), number=number + 1)
        few.insert()
        found = by_key(check(few, AS_OF, watermarks=marks))
        sample = found["phase_creation_success_rate", 0]
        assert (sample.numerator, sample.denominator, sample.detail["boundary"]) == (0, 3, BY_SCAN)
        assert found["calcom_sync_success_rate", 0].detail["boundary"] == BY_WATERMARK

    def test_nothing_created_in_any_window(self, app: Application) -> None:
        app.appointment(app.service(), AS_OF - timedelta(days=60))
        app.insert()
        found = by_key(check(app, AS_OF))
        assert {s.denominator for s in found.values()} == {0}

    def test_a_backfill_uses_those_from_before_its_own_windows(self, few: Application) -> None:
        week_ago = AS_OF - timedelta(days=7)
        marks = [mark(few, last_evening(days)) for days in range(-1, 14)]
        found = by_key(check(few, week_ago, watermarks=marks))
        assert found["calcom_sync_success_rate", 0].denominator == 7 * 24 + 14
        assert self.way(few, [mark(few, last_evening(15)), *marks], week_ago) == {BY_WATERMARK}


class TestLeavingAWatermark:
    """A check leaves one only while its ``as_of`` is the present: later, the highest ids are those of another time."""

    @pytest.fixture
    def present(self, app: Application) -> datetime:
        app.appointment(app.service(), AS_OF)
        app.insert()
        return app.run("SELECT UTC_TIMESTAMP()")[0][0].replace(tzinfo=UTC)

    def test_a_check_of_now_does(self, app: Application, present: datetime) -> None:
        facts = check(app, present - timedelta(minutes=5)).facts
        assert facts["watermark"] == {"appointments": 1, "phases": 3}

    def test_a_backfill_does_not(self, app: Application, present: datetime) -> None:
        assert "watermark" not in check(app, present - timedelta(minutes=20)).facts

    def test_empty_tables_leave_nought(self, app: Application, present: datetime) -> None:
        app.run("DELETE FROM appointments", "DELETE FROM appointment_phases")
        assert check(app, present).facts["watermark"] == {"appointments": 0, "phases": 0}


class TestWaysToTheOverlaps:
    """Each index that there may be, and none, give the same bookings."""

    def test_all_ways_agree(self, build: Build) -> None:
        found = {}
        drop = "DROP INDEX appointments_start ON appointments"
        for name, changes in {
            "start": ["SELECT 1"],
            "an index that holds all": [
                "CREATE INDEX covering ON appointments (starts_at, staff_id, created_at, service_id, deleted_at)"
            ],
            "start, although there is staff": ["CREATE INDEX staff ON appointments (staff_id, starts_at)"],
            "staff": [drop, "CREATE INDEX `staff``s start` ON appointments (staff_id, starts_at)"],
            "key": [drop],
            "key, as an index on parts will not do": [
                drop,
                "CREATE INDEX part ON appointments (staff_id(5), starts_at)",
            ],
        }.items():
            app = build("deployed")
            fill(app, SMALL)
            app.run(*changes)
            recording, figures = read_by(app, marks_of(app))
            statements = " ".join(sql for sql, _ in recording.statements)
            found[name] = {k: v for k, v in figures.items() if k.startswith("overlapping")}
            assert ("a.staff_id IN" in statements) == (name == "staff")
            assert ("DIV" in statements) == name.startswith("start")
            assert ("FORCE INDEX (`covering`)" in statements) == name.startswith("an index")
        assert found["start"]["overlapping_bookings 0"][0] > 50
        assert all(figures == found["start"] for figures in found.values())

    def test_one_far_booking_does_not_widen_what_is_read(self, build: Build) -> None:
        """An appointment a year ahead, and one that was entered for two years ago."""
        app = build("deployed")
        fill(app, LARGE)
        before, figures = read_by(app, marks_of(app))
        service = app.services[0]
        values = ", ".join(
            f"({service.id}, 'staff-0', '{AS_OF + timedelta(days=d):%F %T}', '{AS_OF - timedelta(hours=1):%F %T}')"
            for d in (365, -90)
        )
        app.run(
            f"INSERT INTO appointments (service_id, staff_id, starts_at, created_at) VALUES {values}",
            """INSERT INTO appointment_phases (appointment_id, phase_type, staff_required, start_time, end_time)
               SELECT id, 'processing', 0, starts_at, starts_at + INTERVAL 30 MINUTE FROM appointments
               ORDER BY id DESC LIMIT 2""",
        )
        after, changed = read_by(app, marks_of(app))
        assert after.rows_read < before.rows_read + 500
        assert changed["overlapping_bookings 0"][1] == figures["overlapping_bookings 0"][1] + 2


def test_a_long_list_of_services_stays_a_filter(build: Build) -> None:
    """MariaDB turns a list of a thousand into a subquery, and may begin with that."""
    app = build("deployed")
    for number in range(1500):
        app.service(company_id=1 + number % 40)
    for number in range(3000):
        app.appointment(app.services[number % 1500], AS_OF - timedelta(minutes=2 + number % 500), phases=[])
    app.insert()
    recording, figures = read_by(app, [])
    assert figures["calcom_sync_success_rate 0"] == (3000, 3000)
    statement = next(s for s in recording.statements if "by_status" in s[0])
    connection = app.connect()
    with contextlib.closing(connection), connection.cursor() as cursor:
        for sql, _ in recording.statements:
            if sql.startswith("SET SESSION"):
                cursor.execute(sql)
        cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {statement[0]}", statement[1])
        assert len(cursor.fetchall()) == 3  # services, the groups, the appointments
