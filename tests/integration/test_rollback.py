# SPDX-License-Identifier: MIT
"""Rollback and relaunch on a real MariaDB in both worlds, with the documented grants: nothing is lost, whatever happens."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from demo.account import BERLIN, Account, Appointment, Flags
from demo.application import Application
from demo.processes import find_program
from demo.traffic import Plan, generate
from processing_time.incident.action import Outcome, Refused
from processing_time.incident.saved_phases import opened
from processing_time.store import Store
from processing_time.store_incident import DamagedCopy
from tests.integration.turning_back import AS_OF, TOGGLE, Place, acted, child, hands, planned

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 60


@pytest.fixture(params=["guide", "deployed"])
def account(request: pytest.FixtureRequest, application: Application) -> Account:
    """Bookings up to a little after AS_OF, many of them ahead; deployed, some with composite phases or deleted."""
    account = generate(Plan(AS_OF + timedelta(minutes=5), world=request.param, days=2, requests_a_day=1))
    application.build(account)
    return account


@pytest.fixture
def place(application: Application, mariadb: Any) -> Place:
    return Place(mariadb.port, application.env_file, getattr(mariadb, "host", "127.0.0.1"))


def rows(application: Application, sql: str) -> list[tuple[Any, ...]]:
    with closing(application.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(sql)
        return list(cursor.fetchall())


def phases(application: Application) -> list[tuple[Any, ...]]:
    return rows(application, "SELECT * FROM appointment_phases ORDER BY id")


def kept(application: Application, sql: str) -> list[tuple[Any, ...]]:
    return rows(application, sql.replace("saved_", "processing_time_monitor.saved_"))


def ahead(account: Account) -> list[Appointment]:
    """What should be turned back, counted from the account."""
    return [
        a
        for a in account.appointments
        if a.deleted_at is None
        and a.starts_at >= AS_OF
        and any(p.segment_key is None or a.service.has_processing_time for p in a.phases)
    ]


def colliding(account: Account, regular: set[int]) -> set[frozenset[int]]:
    """Pairs of bookings that need the same person at once, those of `regular` all the time; by comparing each with each."""
    found = set()
    living = [a for a in account.appointments if a.deleted_at is None and a.ends_at > AS_OF]
    by_staff: dict[str, list[Appointment]] = {}
    for appointment in living:
        by_staff.setdefault(appointment.staff_id, []).append(appointment)

    def needed(a: Appointment) -> list[tuple[datetime, datetime]]:
        if a.id in regular or not a.phases:
            return [(a.starts_at, a.ends_at)]
        return [(p.starts_at, p.ends_at) for p in a.phases if p.staff_required]

    for own in by_staff.values():
        for one, other in combinations(own, 2):
            if any(s < v and u < e for s, e in needed(one) for u, v in needed(other)):
                found.add(frozenset((one.id, other.id)))
    return found


def test_a_plan_counts_what_is_ahead_and_what_will_collide(
    account: Account, application: Application, place: Place
) -> None:
    before = phases(application)
    plan = planned(place, "rollback")
    wanted = ahead(account)
    ids = {a.id for a in wanted}
    new = colliding(account, ids) - colliding(account, set())
    assert len(ids) > 50
    assert len(new) > 10
    assert {int(id_) for id_ in plan.detail["appointments"]} == ids
    assert plan.counts["appointments"] == len(ids)
    assert plan.counts["phases"] == sum(len(a.phases) for a in wanted)
    assert {frozenset(pair) for pair in plan.detail["conflicts"]} == new
    assert plan.counts["conflicts"] == len({later for _, later in plan.detail["conflicts"]})
    assert plan.needs_approval
    assert phases(application) == before
    assert not [c.name for c in account.customers if c.name in " ".join(plan.lines)]
    assert f"{TOGGLE}: true → false" in plan.lines


def test_there_and_back_again_bit_for_bit(account: Account, application: Application, place: Place) -> None:
    before, checksum = phases(application), rows(application, "CHECKSUM TABLE appointment_phases")
    ids = {a.id for a in ahead(account)}
    plan = planned(place, "rollback")
    result = acted(place, "rollback", plan)
    assert result.outcome is Outcome.DONE
    assert result.detail["appointments"] == len(ids)
    columns = [name for (name, *_) in rows(application, "SHOW COLUMNS FROM appointment_phases")]
    at = columns.index("appointment_id")
    assert phases(application) == [row for row in before if row[at] not in ids], (
        "and no other phase is touched"
    )
    assert "=false" in application.env_file.read_text()
    assert planned(place, "rollback").empty
    back = acted(place, "relaunch", planned(place, "relaunch"))
    assert back.outcome is Outcome.DONE, back.lines
    assert phases(application) == before
    assert rows(application, "CHECKSUM TABLE appointment_phases") == checksum
    assert f"{TOGGLE}=true" in application.env_file.read_text()
    assert kept(application, "SELECT DISTINCT state FROM saved_appointments") == [("restored",)]
    again = planned(place, "relaunch")
    assert (again.empty, again.counts["appointments"]) == (True, 0)


def test_what_an_attempt_before_has_put_back_is_not_told_as_regular(
    few: Account, application: Application, place: Place
) -> None:
    before = phases(application)
    acted(place, "rollback", planned(place, "rollback"))
    plan = planned(place, "relaunch")
    acted(place, "relaunch", plan)
    again = acted(place, "relaunch", plan)
    assert phases(application) == before
    assert again.outcome is Outcome.DONE
    assert not any("Stays a regular appointment" in line for line in again.lines)
    assert "7 appointments had theirs back already." in again.lines
    assert (again.detail["appointments"], again.detail["already"], again.detail["left"]) == (0, 7, {})


def test_doing_it_again_after_a_relaunch_saves_anew(
    account: Account, application: Application, place: Place
) -> None:
    before = phases(application)
    for _ in range(2):
        acted(place, "rollback", planned(place, "rollback"))
        acted(place, "relaunch", planned(place, "relaunch"))
    assert phases(application) == before
    assert kept(application, "SELECT DISTINCT state FROM saved_appointments") == [("restored",)]


def test_it_can_be_narrowed(account: Account, application: Application, place: Place) -> None:
    wanted = ahead(account)
    one = wanted[0]
    company = {a.id for a in wanted if a.service.company_id == one.service.company_id}
    service = {a.id for a in wanted if a.service.id == one.service.id}

    def chosen(**more: Any) -> set[int]:
        return {int(id_) for id_ in planned(place, "rollback", **more).detail["appointments"]}

    assert chosen(company_id=one.service.company_id) == company
    assert (
        chosen(service_id=one.service.id if isinstance(one.service.id, str) else str(one.service.id))
        == service
    )
    assert chosen(appointment_ids=(str(one.id), "999999999")) == {one.id}
    told = planned(place, "rollback", appointment_ids=(str(one.id), "999999999")).lines
    assert any("turn back for 999999999:" in line for line in told)
    for wrong in ({"company_id": 4711}, {"service_id": "4711"}):
        with pytest.raises(Refused, match="there is no"):
            planned(place, "rollback", **wrong)
    with pytest.raises(Refused, match="whole numbers"):
        planned(place, "rollback", appointment_ids=("0d3f3f0e-0000-4000-8000-000000000000",))


@pytest.fixture
def few(application: Application) -> Account:
    """Seven appointments ahead in the deployed world, and a regular booking in the gap of one of them."""
    account = generate(Plan(AS_OF + timedelta(minutes=5), world="deployed", days=2, requests_a_day=1))
    split = {a.id: a for a in ahead(account) if len(a.phases) == 3}
    plain = {a.id: a for a in account.appointments if not a.phases}
    pairs = colliding(account, set(split)) - colliding(account, set())
    outer, inner = next((o, i) for o, i in map(sorted, pairs) if o in split and i in plain)
    alone = set(split) - set().union(*colliding(account, set(split)))
    chosen = [split[id_] for id_ in sorted(alone)[:6]] + [split[outer], plain[inner]]
    account.appointments = sorted(chosen, key=lambda a: a.id)
    application.build(account)
    return account


def outer_of(few: Account) -> int:
    """The one with a booking in its gap."""
    split = {a.id for a in ahead(few)}
    (pair,) = colliding(few, split)
    return next(id_ for id_ in pair if id_ in split)


class TestKilled:
    @pytest.fixture(autouse=True)
    def importable(self) -> Iterator[None]:
        """The server that processes are forked from has to find us."""
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), str(PROJECT / "plugins"), before or ""])
        yield
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before

    @pytest.mark.parametrize("again", ["cleared", "a new run"])
    @pytest.mark.parametrize("name", ["rollback", "relaunch"])
    def test_before_each_statement(
        self, few: Account, application: Application, place: Place, name: str, again: str
    ) -> None:
        """Whatever was done by then, every phase is in the application or saved, and running it again finishes."""
        place = replace(place, batch=2)
        some = ", ".join(str(a.id) for a in ahead(few)[:3])
        change(application, f"DELETE FROM appointments WHERE id NOT IN ({some})")
        processes = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload(["tests.integration.turning_back"])
        everything = phases(application)
        first = planned(place, "rollback")
        acted(place, "rollback", first)
        left = phases(application)
        # One in four for the second way: the statements are the same.
        fatal, stride = 1, 1 if again == "cleared" else 4
        while True:
            acted(place, "relaunch", planned(place, "relaunch"))
            assert phases(application) == everything
            if name == "relaunch":
                acted(place, "rollback", planned(place, "rollback"))
            plan = planned(place, name)
            counter = processes.Value("i", 0)
            process = processes.Process(target=child, args=(place, name, plan, fatal, counter))
            process.start()
            process.join(PATIENCE)
            where = f"killed before statement {fatal}"
            there = {row[0] for row in phases(application)}
            saved = {id_ for (id_,) in kept(application, "SELECT DISTINCT phase_id FROM saved_phases")}
            assert there | saved >= {row[0] for row in everything}, where
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL, where
            acted(place, name, plan if again == "cleared" else planned(place, name))
            assert phases(application) == (left if name == "rollback" else everything), where
            states = kept(application, "SELECT state FROM saved_appointments WHERE in_force = 1")
            assert states == [("removed",)] * (3 if name == "rollback" else 0), where
            fatal += stride
        assert fatal > 30, "too few statements to be true"
        assert counter.value < fatal, "every statement has been tried"


def change(application: Application, *statements: str) -> None:
    with closing(application.connect()) as connection, connection.cursor() as cursor:
        for statement in ("SET time_zone = '+00:00'", *statements):
            cursor.execute(statement)


def test_only_what_was_approved_is_touched(few: Account, application: Application, place: Place) -> None:
    plan = planned(place, "rollback")
    # The last one stays as it was approved, and its gap is free.
    moved, deleted, emptied, gone, *rest = [a.id for a in ahead(few) if a.id != outer_of(few)]
    change(
        application,
        f"UPDATE appointments SET starts_at = starts_at + INTERVAL 1 HOUR WHERE id = {moved}",
        f"UPDATE appointments SET deleted_at = updated_at WHERE id = {deleted}",
        f"DELETE FROM appointment_phases WHERE appointment_id = {emptied}",
        f"DELETE FROM appointments WHERE id = {gone}",
        # Somebody books meanwhile.
        "INSERT INTO appointments (id, company_id, service_id, staff_id, starts_at, ends_at)"
        f" SELECT 9000, company_id, service_id, staff_id, starts_at, ends_at FROM appointments WHERE id = {rest[0]}",
        "INSERT INTO appointment_phases (appointment_id, phase_type, start_offset_minutes, duration_minutes,"
        " staff_required, start_time, end_time) SELECT 9000, phase_type, start_offset_minutes, duration_minutes,"
        f" staff_required, start_time, end_time FROM appointment_phases WHERE appointment_id = {rest[0]}",
        "INSERT INTO appointments (id, company_id, service_id, staff_id, starts_at, ends_at)"
        " SELECT 9001, company_id, service_id, staff_id, start_time, end_time FROM appointments AS a"
        " INNER JOIN appointment_phases AS ph ON a.id = ph.appointment_id"
        f" WHERE a.id = {rest[0]} AND NOT ph.staff_required",
    )
    result = acted(place, "rollback", plan)
    assert result.outcome is Outcome.PARTLY
    assert result.detail["changed"] == [moved, deleted, emptied, gone]
    assert any(f"{moved}, {deleted}, {emptied}, {gone}" in line for line in result.lines)
    still = {id_ for (id_,) in rows(application, "SELECT DISTINCT appointment_id FROM appointment_phases")}
    assert still == {moved, deleted, 9000}
    assert result.detail["appointments"] == 3
    assert any(f"1 booking (9001 in {rest[0]})" in line for line in result.lines)
    assert {int(id_) for id_ in planned(place, "rollback").detail["appointments"]} == {moved, 9000}


def test_what_does_not_fit_any_more_is_listed(few: Account, application: Application, place: Place) -> None:
    before = phases(application)
    acted(place, "rollback", planned(place, "rollback"))
    by_id, outer = {a.id: a for a in ahead(few)}, outer_of(few)
    gone, moved, deleted, busy, again, late = (id_ for id_ in by_id if id_ != outer)
    other = next(s.id for s in few.services if s.id != by_id[moved].service.id)
    change(
        application,
        f"DELETE FROM appointments WHERE id = {gone}",
        f"UPDATE appointments SET service_id = {other} WHERE id = {moved}",
        f"UPDATE appointments SET deleted_at = updated_at WHERE id = {deleted}",
        "INSERT INTO appointment_phases (appointment_id, phase_type, start_offset_minutes, duration_minutes)"
        f" VALUES ({again}, 'initial', 0, 5)",
        "INSERT INTO appointments (id, company_id, service_id, staff_id, starts_at, ends_at)"
        f" SELECT 9000, company_id, service_id, staff_id, starts_at, ends_at FROM appointments WHERE id = {busy}",
    )
    plan = planned(place, "relaunch")
    told = " ".join(plan.lines)
    for id_, why in {
        gone: "is gone",
        moved: "has another service",
        deleted: "was deleted",
        again: "has phases again",
        busy: "collides with a newer booking",
    }.items():
        assert f"because it {why}: {id_}." in told
    assert set(plan.detail["appointments"]) == {str(late), str(outer)}
    # And one more changes before it is approved.
    change(application, f"UPDATE appointments SET staff_id = NULL WHERE id = {late}")
    result = acted(place, "relaunch", plan)
    assert result.outcome is Outcome.PARTLY
    assert result.detail["left"] == {str(late): "has another member of staff"}
    there = [row for row in phases(application) if row[1] != again]
    assert there == [row for row in before if row[1] == outer]


def test_ids_that_belong_to_others_now_are_not_taken(
    few: Account, application: Application, place: Place
) -> None:
    acted(place, "rollback", planned(place, "rollback"))
    (taken, *_), (other, *_) = (
        rows(application, f"SELECT {what} FROM processing_time_monitor.saved_phases")[0]
        for what in ("MIN(phase_id)", "MAX(saved_id)")
    )
    (free,) = rows(
        application,
        "SELECT MAX(appointment_id) FROM processing_time_monitor.saved_appointments"
        f" WHERE id NOT IN (SELECT saved_id FROM processing_time_monitor.saved_phases WHERE phase_id = {taken})",
    )[0]
    assert other
    change(
        application,
        "INSERT INTO appointment_phases (id, appointment_id, phase_type, start_offset_minutes, duration_minutes)"
        f" VALUES ({taken}, {free}, 'initial', 0, 5)",
    )
    plan = planned(place, "relaunch")
    assert any("had phases whose ids belong to others now" in line for line in plan.lines)
    result = acted(place, "relaunch", plan)
    assert result.outcome is Outcome.DONE
    assert result.detail["appointments"] == len(plan.detail["appointments"])


def test_without_a_laravel_connection(few: Account, application: Application, place: Place) -> None:
    alone = replace(place, artisan=False)
    with pytest.raises(
        Refused, match=r"switches the feature off first.*processing_time_laravel is not defined"
    ):
        planned(alone, "rollback")
    application.write_flags(Flags(enabled=False, service_whitelist=("3",)))
    with pytest.raises(Refused):
        planned(alone, "rollback")
    application.write_flags(Flags(enabled=False))
    plan = planned(alone, "rollback")
    application.write_flags(Flags(enabled=True))
    with pytest.raises(Refused):
        acted(alone, "rollback", plan)
    application.write_flags(Flags(enabled=False))
    result = acted(alone, "rollback", plan)
    assert result.outcome is Outcome.DONE
    assert any("cached configuration" in line for line in result.lines)
    back = planned(alone, "relaunch")
    assert any("by hand" in line for line in back.lines)
    assert acted(alone, "relaunch", back).detail["appointments"] == 7


@pytest.mark.parametrize(
    ("fault", "mended", "told"),
    [
        (
            "RENAME TABLE appointments TO elsewhere",
            "RENAME TABLE elsewhere TO appointments",
            "the application's appointments cannot be read",
        ),
        (
            "ALTER TABLE appointment_phases ADD place POINT",
            "ALTER TABLE appointment_phases DROP place",
            "has the type point",
        ),
    ],
)
def test_what_was_switched_off_is_told_when_it_cannot_go_on(
    few: Account, application: Application, place: Place, fault: str, mended: str, told: str
) -> None:
    plan, before = planned(place, "rollback"), phases(application)
    change(application, fault)
    result = acted(place, "rollback", plan)
    change(application, mended)
    assert f"{TOGGLE}=false" in application.env_file.read_text()
    assert phases(application) == before
    assert result.outcome is Outcome.FAILED
    assert "The application now reads: master toggle off, no service whitelisted." in result.lines
    assert any(told in line for line in result.lines)
    assert acted(place, "rollback", plan).outcome is Outcome.DONE


def test_what_was_put_back_is_told_when_the_feature_cannot_be_switched_on(
    few: Account, application: Application, place: Place
) -> None:
    before = phases(application)
    acted(place, "rollback", planned(place, "rollback"))
    plan = planned(place, "relaunch")
    result = acted(replace(place, artisan=False), "relaunch", plan)
    assert phases(application) == before
    assert result.outcome is Outcome.PARTLY
    assert "of 7 appointments are back" in result.lines[0]
    assert "processing_time_laravel is not defined" in result.lines[-1]
    assert result.detail["appointments"] == 7
    assert acted(place, "relaunch", planned(place, "relaunch")).outcome is Outcome.DONE


def test_switched_on_since_the_approval(few: Account, application: Application, place: Place) -> None:
    application.write_flags(Flags(enabled=False))
    plan = planned(place, "rollback")
    assert "The feature is off already." in plan.lines
    application.write_flags(Flags(enabled=True))
    before = phases(application)
    with pytest.raises(Refused, match="switched on since"):
        acted(place, "rollback", plan)
    assert phases(application) == before


def test_a_login_without_the_grant_is_told(few: Account, application: Application, place: Place) -> None:
    plan, before = planned(place, "rollback"), phases(application)
    change(application, "REVOKE DELETE ON booking.appointment_phases FROM pt_monitor_write@'%'")
    with pytest.raises(Refused, match="processing_time_mysql_write lacks DELETE on appointment_phases"):
        planned(place, "rollback")
    result = acted(place, "rollback", plan)
    assert result.outcome is Outcome.FAILED
    assert any("grant its login SELECT, and INSERT and DELETE" in line for line in result.lines)
    assert phases(application) == before
    change(application, "GRANT DELETE ON booking.appointment_phases TO pt_monitor_write@'%'")
    assert acted(place, "rollback", plan).outcome is Outcome.DONE


WIDE = """ALTER TABLE appointment_phases
  MODIFY updated_at TIMESTAMP(6) NULL ON UPDATE CURRENT_TIMESTAMP(6),
  ADD made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  ADD share FLOAT, ADD ratio DOUBLE, ADD price DECIMAL(30, 12), ADD bits BIT(10), ADD digest VARBINARY(64),
  ADD picture LONGBLOB, ADD settings JSON, ADD note TEXT CHARACTER SET latin1, ADD colours SET('rot', 'grün'),
  ADD size ENUM('klein', 'groß'), ADD pause TIME(3), ADD season YEAR, ADD day DATE, ADD at DATETIME(3), ADD `strange, ``name` INT,
  ADD twice INT AS (duration_minutes * 2) VIRTUAL, ADD thrice INT AS (duration_minutes * 3) STORED"""
VALUES = (
    {
        "updated_at": "'2026-06-01 00:00:00.000001'",
        "made": "'2026-10-25 00:30:00'",
        "share": "0.1",
        "ratio": "1e0 / 3",
        "price": "-123456789012345678.000000000001",
        "bits": "b'1010101010'",
        "digest": "UNHEX('00FF27255C0A')",
        "picture": "REPEAT(UNHEX('DEADBEEF00'), 20000)",
        "settings": """'{"b": 1.0, "a": "ü\\\\u0000 %s"}'""",
        "note": "'süß, 100 % \\' \\\\ \\n'",
        "colours": "'rot,grün'",
        "size": "'groß'",
        "pause": "'-23:59:59.999'",
        "season": "2026",
        "day": "'2026-02-29' - INTERVAL 0 DAY",
        "at": "'2026-03-29 02:30:00.123'",
        "`strange, ``name`": "-1",
        "start_time": "'2026-10-25 00:30:00'",
        "end_time": "'2026-10-25 01:30:00'",
    },
    {
        "made": "'2026-10-25 01:30:00'",
        "share": "-3.4028235e38",
        "ratio": "5e-324",
        "bits": "0",
        "digest": "''",
        "note": "''",
        "colours": "''",
        "size": "''",
        "start_time": "NULL",
        "id": "0",
    },
)


@pytest.fixture
def berlin(mariadb: Any) -> Iterator[str]:
    """A server that knows Berlin, where an hour comes twice on 2026-10-25; a statement that makes a session live there."""
    with closing(mariadb.root("mysql")) as root, root.cursor() as cursor:
        cursor.execute("SELECT CONVERT_TZ('2026-06-01', 'UTC', 'Europe/Berlin')")
        if cursor.fetchall() != ((None,),):
            yield "SET time_zone = 'Europe/Berlin'"
            return
        program = find_program("mariadb-tzinfo-to-sql", "mariadb-server")
        sql = subprocess.run(
            [program, "/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"], check=True, capture_output=True
        ).stdout
        for statement in sql.decode().split(";\n"):
            # The rest is about clusters of MariaDB.
            if statement.startswith(("INSERT INTO ", "SET @time_zone_id")):
                cursor.execute(statement)
        yield "SET time_zone = 'Europe/Berlin'"
        for table in ("time_zone", "time_zone_name", "time_zone_transition", "time_zone_transition_type"):
            cursor.execute(f"TRUNCATE {table}")


def test_every_kind_of_column_comes_back_bit_for_bit(
    few: Account, application: Application, place: Place, berlin: str
) -> None:
    change(application, "SET NAMES utf8mb4", WIDE)
    ids = [a.id for a in ahead(few)]
    for id_, values in zip(ids, VALUES, strict=False):
        assignments = ", ".join(f"{name} = {value}" for name, value in values.items())
        change(
            application,
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
            f"UPDATE appointment_phases SET {assignments} WHERE appointment_id = {id_} ORDER BY id LIMIT 1",
        )
    before, checksum = phases(application), rows(application, "CHECKSUM TABLE appointment_phases")
    away = replace(place, init=berlin)
    result = acted(away, "rollback", planned(away, "rollback"))
    assert (result.outcome, result.detail["appointments"]) == (Outcome.DONE, len(ids))
    assert phases(application) == []
    back = acted(away, "relaunch", planned(away, "relaunch"))
    assert back.outcome is Outcome.DONE, back.lines
    assert phases(application) == before
    assert rows(application, "CHECKSUM TABLE appointment_phases") == checksum


def test_a_column_that_cannot_be_copied_exactly_is_refused(
    few: Account, application: Application, place: Place
) -> None:
    change(application, "ALTER TABLE appointment_phases ADD place POINT")
    with pytest.raises(Refused, match=r"appointment_phases\.place has the type point"):
        planned(place, "rollback")


def test_a_column_that_is_gone_since_then_is_told(
    few: Account, application: Application, place: Place
) -> None:
    acted(place, "rollback", planned(place, "rollback"))
    plan = planned(place, "relaunch")
    change(application, "ALTER TABLE appointment_phases DROP segment_name")
    with pytest.raises(Refused, match="no column segment_name any more"):
        acted(place, "relaunch", plan)
    assert phases(application) == []


def test_a_trigger_that_changes_what_is_put_back_is_noticed(
    few: Account, application: Application, place: Place
) -> None:
    acted(place, "rollback", planned(place, "rollback"))
    change(
        application,
        "CREATE TRIGGER tidy BEFORE INSERT ON appointment_phases FOR EACH ROW SET NEW.updated_at = '2026-01-01'",
    )
    result = acted(place, "relaunch", planned(place, "relaunch"))
    assert result.outcome is Outcome.FAILED
    assert any("read otherwise" in line for line in result.lines)
    assert phases(application) == []
    assert "=false" in application.env_file.read_text(), "and the feature stays off"


def test_what_changes_between_copy_and_deletion_stays(
    few: Account, application: Application, place: Place
) -> None:
    changed, gone, *_ = ids = [a.id for a in ahead(few)]
    store = Store(lambda: place.connect("pt_store", "processing_time_monitor"))
    with opened(hands(place, store)) as table:
        copies = list(table.copies(ids).values())
        change(
            application,
            f"UPDATE appointment_phases SET duration_minutes = 1 WHERE appointment_id = {changed} LIMIT 1",
            f"DELETE FROM appointments WHERE id = {gone}",
        )
        assert table.remove(copies) == {*ids} - {changed, gone}
    assert rows(application, "SELECT DISTINCT appointment_id FROM appointment_phases") == [(changed,)]


@pytest.mark.parametrize("column", ["status = 'Cancelled'", "deleted_at = updated_at", "staff_id = NULL"])
def test_what_keeps_nobody_busy_does_not_collide(
    few: Account, application: Application, place: Place, column: str
) -> None:
    inner = next(a.id for a in few.appointments if not a.phases)
    told = planned(place, "rollback")
    assert told.detail["conflicts"] == [[outer_of(few), inner]]
    outer = next(a for a in few.appointments if a.id == outer_of(few))
    where = f"company {outer.service.company_id}, service {outer.service.id}, {outer.starts_at.astimezone(BERLIN):%Y-%m-%d}"
    assert f"{where}: 1 booking ({inner} in {outer.id})" in told.lines
    change(application, f"UPDATE appointments SET {column} WHERE id = {inner}")
    told = planned(place, "rollback")
    assert (told.detail["conflicts"], told.counts["conflicts"]) == ([], 0)
    assert "No booking collides once the staff is busy for the whole time." in told.lines


def test_the_documented_grants_are_enough(few: Account, application: Application, place: Place) -> None:
    documented = re.findall(
        r"^(GRANT .*'pt_monitor_write'.*);$", (PROJECT / "docs" / "install.md").read_text(), re.MULTILINE
    )
    assert len(documented) == 3
    change(
        application,
        "REVOKE ALL PRIVILEGES, GRANT OPTION FROM pt_monitor_write@'%'",
        "FLUSH PRIVILEGES",
        *documented,
    )
    before = phases(application)
    assert acted(place, "rollback", planned(place, "rollback")).outcome is Outcome.DONE
    assert acted(place, "relaunch", planned(place, "relaunch")).outcome is Outcome.DONE
    assert phases(application) == before


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM processing_time_monitor.saved_phases ORDER BY phase_id LIMIT 1",
        "UPDATE processing_time_monitor.saved_phases SET phase = JSON_SET(phase, '$.duration_minutes', '1')",
    ],
)
def test_a_copy_that_was_changed_is_not_put_back(
    few: Account, application: Application, place: Place, damage: str
) -> None:
    acted(place, "rollback", planned(place, "rollback"))
    change(application, damage)
    with pytest.raises(DamagedCopy, match="is not what was saved"):
        planned(place, "relaunch")


def test_phases_of_composite_services_are_none_of_ours(
    few: Account, application: Application, place: Place
) -> None:
    split, mixed, composite, *_ = (a.id for a in ahead(few))
    whole = next(s.id for s in few.services if not s.has_processing_time and not s.withdrawn)
    change(
        application,
        f"UPDATE appointment_phases SET segment_key = 'A' WHERE appointment_id IN ({split}, {composite})",
        f"UPDATE appointment_phases SET segment_key = 'A' WHERE appointment_id = {mixed} ORDER BY id LIMIT 1",
        f"UPDATE appointments SET service_id = {whole} WHERE id IN ({mixed}, {composite})",
    )
    before = phases(application)
    plan = planned(place, "rollback")
    assert {int(id_) for id_ in plan.detail["appointments"]} == {a.id for a in ahead(few)} - {composite}
    assert acted(place, "rollback", plan).outcome is Outcome.DONE
    left = rows(application, "SELECT appointment_id, segment_key FROM appointment_phases")
    assert sorted(left) == sorted([(mixed, "A"), *[(composite, "A")] * 3])
    assert acted(place, "relaunch", planned(place, "relaunch")).outcome is Outcome.DONE
    assert phases(application) == before
