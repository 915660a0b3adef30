# SPDX-License-Identifier: MIT
"""What is in the stand-in application's tables, files and cache is what its account says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import MySQLdb
import pytest
from dotenv import dotenv_values

from demo import catalogue
from demo.account import Account, World
from demo.application import CACHE_PREFIX, PASSWORDS, Application
from demo.services import MariaDB, Redis
from demo.traffic import ColdStart, Plan, Trouble, generate

PROJECT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)  # the day on which summer time begins
_REFUSED = (1044, 1142)  # access denied to a schema, command denied on a table
RECORD = re.compile(r"^\[(?P<at>[^\]]+)\] production\.(?P<level>[A-Z]+): (?P<message>.*)$")


def account_of(world: World) -> Account:
    trouble = Trouble(NOON - timedelta(hours=5), NOON, 0.5, company_id=2)
    plan = Plan(
        NOON,
        days=9,
        world=world,
        phase_failures=(trouble,),
        sync_failures=(trouble,),
        cold_starts=(ColdStart(NOON - timedelta(hours=2)),),
        observer_disabled_at=(NOON - timedelta(hours=1),),
    )
    return generate(plan)


@pytest.fixture(params=["guide", "deployed"])
def account(request: pytest.FixtureRequest) -> Account:
    return account_of(request.param)


def rows(application: Application, statement: str) -> list[Any]:
    with closing(application.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_rows_are_those_of_the_account(application: Application, account: Account) -> None:
    application.create(account.world)
    application.insert(account)
    made = {
        number: (service, str(created_at), str(starts_at))
        for number, service, created_at, starts_at in rows(
            application, "SELECT id, service_id, created_at, starts_at FROM appointments"
        )
    }
    assert {number: (str(service), *times) for number, (service, *times) in made.items()} == {
        a.id: (a.service.id, f"{a.created_at:%Y-%m-%d %H:%M:%S}", f"{a.starts_at:%Y-%m-%d %H:%M:%S}")
        for a in account.appointments
    }
    assert Counter(
        number for (number,) in rows(application, "SELECT appointment_id FROM appointment_phases")
    ) == {a.id: len(a.phases) for a in account.appointments if a.phases}
    column = "calcom_sync_status" if account.world == "deployed" else "sync_status"
    found = dict(rows(application, f"SELECT {column}, COUNT(*) FROM appointments GROUP BY 1"))
    assert found == Counter(a.sync for a in account.appointments)


def test_the_account_holds_every_kind_of_row(account: Account) -> None:
    kinds = {record.happening for record in account.records}
    assert {"phases_created", "phases_failed", "cache_miss", "sync_success", "sync_failed", "noise"} <= kinds
    assert len(account.overlaps(NOON)) > 20
    complete, total = account.phase_creation(NOON)
    assert 0 < complete < total
    if account.world == "deployed":
        assert "phases_update_failed" in kinds
        assert any(a.deleted_at for a in account.appointments)
        assert any(a.service.composite for a in account.appointments)
        assert any(a.service.withdrawn and a.phases for a in account.appointments)


@pytest.mark.parametrize(("timezone", "iso"), [("UTC", False), ("UTC", True), ("Europe/Berlin", True)])
def test_log_lines_are_the_records_of_the_account(
    mariadb: MariaDB, redis_server: Redis, tmp_path: Path, account: Account, timezone: str, iso: bool
) -> None:
    application = Application(mariadb, redis_server, tmp_path, timezone=timezone, iso_times=iso)
    application.create(account.world)
    application.write_logs(account.records)
    read = []
    for file in application.logs.glob("*.log"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if match := RECORD.match(line):
                at = datetime.fromisoformat(match["at"])
                at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(timezone))
                read.append((at.astimezone(UTC), match["level"], match["message"]))
    assert sorted(read) == sorted((r.at, r.level, r.message) for r in account.records)
    assert bool(list(application.logs.glob("calcom-*.log"))) is (account.world == "deployed")


def test_failures_go_on_below_their_first_line(application: Application, account: Account) -> None:
    application.create(account.world)
    application.write_logs(account.records)
    text = (application.logs / "laravel.log").read_text(encoding="utf-8")
    failed = [record for record in account.records if record.happening == "phases_failed"]
    first, rest = failed[0].message, "\n".join(failed[0].trace)
    assert f"{first}\n{rest}\n" in text
    # The database's message quotes the customer: whoever shows such a line shows personal data.
    assert any(customer.email in first for customer in account.customers)
    with pytest.raises(json.JSONDecodeError):
        json.loads(first[first.index("{") :])


def test_users_have_the_rights_that_the_documentation_asks_for(
    application: Application, mariadb: MariaDB
) -> None:
    application.create("guide")

    def allowed(user: str, statement: str, schema: str) -> bool:
        with closing(
            MySQLdb.connect(
                host="127.0.0.1", port=mariadb.port, user=user, password=PASSWORDS[user], database=schema
            )
        ) as connection:
            try:
                connection.cursor().execute(statement)
            except MySQLdb.OperationalError as error:
                return error.args[0] not in _REFUSED
            return True

    booking = application.schema
    assert allowed("pt_monitor", "SELECT COUNT(*) FROM appointments", booking)
    assert not allowed("pt_monitor", "DELETE FROM appointment_phases", booking)
    assert not allowed("pt_monitor", "CREATE TEMPORARY TABLE t (i INT)", booking)
    assert allowed("pt_monitor_write", "DELETE FROM appointment_phases WHERE id < 0", booking)
    assert not allowed("pt_monitor_write", "DELETE FROM appointments WHERE id < 0", booking)
    assert allowed("pt_store", "CREATE TABLE t (i INT)", application.store)
    with pytest.raises(MySQLdb.OperationalError, match="Access denied"):
        MySQLdb.connect(host="127.0.0.1", port=mariadb.port, user="root")


def test_the_deployed_appointments_have_no_index_on_created_at(application: Application) -> None:
    application.create("deployed")
    leading = (
        "SELECT DISTINCT column_name FROM information_schema.statistics WHERE table_schema = DATABASE() "
    )
    found = rows(application, leading + "AND table_name = 'appointments' AND seq_in_index = 1")
    assert {name for (name,) in found} == {
        "id",
        "company_id",
        "customer_id",
        "service_id",
        "staff_id",
        "starts_at",
        "status",
    }


def test_cache_keys_expire_and_carry_laravels_prefix(
    application: Application, redis_server: Redis, account: Account
) -> None:
    application.create(account.world)
    number = application.warm_cache(account)
    with closing(redis_server.client(1)) as client:
        keys = list(client.scan_iter(f"{CACHE_PREFIX}week_availability:*", count=1000))
        assert len(keys) == number > 5
        assert all(0 < client.ttl(key) <= 60 for key in keys)
        assert all((b":pt_" in key) is (account.world == "guide") for key in keys)
        assert client.dbsize() > number
    with closing(redis_server.client(0)) as client:
        assert client.dbsize() == 0


def test_flags_are_in_the_env_file(application: Application) -> None:
    account = account_of("guide")
    application.write_flags(replace(account.flags, company_whitelist=(1, 3)))
    values = dotenv_values(application.env_file)
    assert values["FEATURE_PROCESSING_TIME_ENABLED"] == "true"
    assert values["FEATURE_PROCESSING_TIME_COMPANY_WHITELIST"] == "1,3"
    assert values["FEATURE_PROCESSING_TIME_SERVICE_WHITELIST"] == ""


def test_repairing_makes_the_missing_phases(application: Application, account: Account) -> None:
    application.create(account.world)
    application.insert(account)
    orphans, _ = account.orphans(NOON)
    application.repair([a for a in account.appointments if a.id in orphans], NOON)
    assert account.orphans(NOON)[0] == []
    without = (
        "SELECT COUNT(*) FROM appointments a JOIN services s ON s.id = a.service_id WHERE s.has_processing_time = 1 "
        "AND NOT EXISTS (SELECT 1 FROM appointment_phases p WHERE p.appointment_id = a.id)"
    )
    assert rows(application, without) == [
        (sum(1 for a in account.appointments if a.service.has_processing_time and not a.phases),)
    ]


def test_servers_start_again_on_their_data_and_end_with_their_directory(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)  # a socket path in there would be too long for the kernel
    with MariaDB(deep) as server, closing(server.root()) as connection:
        connection.cursor().execute("CREATE DATABASE kept")
    assert server.pid is None
    assert not Path(server.socket).parent.exists()
    with MariaDB(deep) as server, closing(server.root()) as connection:
        assert connection.cursor().execute("SHOW DATABASES LIKE 'kept'") == 1
    with Redis(deep) as cache:
        assert cache.client().ping()
    assert cache.pid is None


@pytest.mark.parametrize(
    "scenarios",
    [
        pytest.param(
            ["phase_failures", "redis_down", "log_missing", "pilot_rollout", "outage_day"], id="failures"
        ),
        pytest.param(
            ["healthy", "sync_outage", "cold_cache", "normal_load", "peak_load", "deployed"], id="loads"
        ),
    ],
)
def test_every_scenario_comes_out_as_expected_and_tells_nothing_personal(
    scenarios: list[str], tmp_path: Path
) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "demo.run", *scenarios],
        cwd=PROJECT,
        env={**os.environ, "DEMO_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-1000:]
    assert finished.stdout.count("As expected") == len(scenarios)
    written = {
        "the terminal": finished.stdout,
        "Slack": (tmp_path / "slack.json").read_text(encoding="utf-8"),
    }
    for file in (tmp_path / "airflow.log", *(tmp_path / "airflow" / "logs").rglob("*.log")):
        written[file.name] = file.read_text(encoding="utf-8", errors="replace")
    people = [person for company in catalogue.companies() for person in catalogue.customers(company)]
    secrets = {
        *PASSWORDS.values(),
        *(field for person in people for field in (person.name, person.email, person.phone)),
    }
    for place, text in written.items():
        assert [secret for secret in secrets if secret in text] == [], place
    assert list(tmp_path.rglob("*.pid")) == []
