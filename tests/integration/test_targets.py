# SPDX-License-Identifier: MIT
"""Two applications on one installation: each is measured, told about and acted upon for itself."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.account import Account
from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import ON_CALL_GROUP, StandInSlack
from demo.traffic import Plan, generate
from tests.integration.incident_runs import Incidents
from tests.integration.test_health_check import AS_OF, broken_plan, rows, samples

PROJECT = Path(__file__).resolve().parents[2]
CONNECTION, SETTING = "AIRFLOW_CONN_PROCESSING_TIME_", "PROCESSING_TIME__"
MONDAY = datetime.fromisoformat("2026-06-08T08:30+02:00")


class Two:
    """The applications of Berlin, where phases fail, and of Hamburg, where all is well."""

    def __init__(self, mariadb: MariaDB, redis: Redis, directory: Path) -> None:
        self.server = mariadb
        self.accounts: dict[str, Account] = {
            "berlin": generate(broken_plan("deployed", AS_OF)),
            "hamburg": generate(Plan(AS_OF, days=9, seed=7)),
        }
        self.applications = {
            name: Application(
                mariadb,
                redis,
                directory / name,
                schema=f"booking_{name}",
                store=f"processing_time_monitor_{name}",
            )
            for name in self.accounts
        }
        for name, application in self.applications.items():
            application.build(self.accounts[name])
        # Both have the same logins, which the second one made anew.
        with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
            cursor.execute("GRANT SELECT ON booking_berlin.* TO pt_monitor@'%'")
            cursor.execute("GRANT ALL PRIVILEGES ON processing_time_monitor_berlin.* TO pt_store@'%'")

    def environment(self, slack: StandInSlack) -> dict[str, str]:
        """Connections and settings of both; only Slack is shared."""
        found = {f"{CONNECTION}SLACK": slack.connection()}
        for name, application in self.applications.items():
            for variable, value in application.environment(None, slack.channels, ON_CALL_GROUP).items():
                if variable.startswith(CONNECTION):
                    found[f"{variable}__{name.upper()}"] = value
                else:
                    found[variable.replace(SETTING, f"{SETTING}TARGETS__{name.upper()}__", 1)] = value
        return found


@pytest.fixture
def two(mariadb: MariaDB, redis_server: Redis, tmp_path: Path, slack: StandInSlack, monkeypatch: Any) -> Two:
    """Both applications, and an Airflow that watches them."""
    made = Two(mariadb, redis_server, tmp_path)
    for name, value in made.environment(slack).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(f"{SETTING}SCHEDULE__RETRY_DELAY", "1s")
    monkeypatch.setenv(f"{SETTING}REPORTS__HTML", str(tmp_path / "pages"))
    monkeypatch.setattr("processing_time.delivery.PACE", 0.0)
    return made


@pytest.fixture
def dags(two: Two, airflow_db: None) -> Any:
    """The DAGs of both."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(PROJECT / "dags")
    assert bag.import_errors == {}
    return bag.dags


def states(run: Any) -> dict[str, str]:
    return {i.task_id: str(i.state) for i in run.get_task_instances()} | {"run": str(run.state)}


def checked(two: Two, dags: Any) -> dict[str, dict[str, str]]:
    """The states of a check of each target."""
    conf = {"as_of": AS_OF.isoformat(), "dry_run": False}
    return {
        name: states(dags[f"processing_time_health_check__{name}"].test(run_conf=conf))
        for name in two.accounts
    }


def test_each_is_checked_for_itself(two: Two, dags: Any, slack: StandInSlack) -> None:
    ended = checked(two, dags)
    assert ended["hamburg"]["run"] == "success"
    assert (ended["berlin"]["verdict"], ended["berlin"]["escalate"]) == ("failed", "success")
    for name, account in two.accounts.items():
        found = samples(two.applications[name], two.server)
        made, total = account.phase_creation(AS_OF)
        row = found["phase_creation_success_rate", 0]
        assert (row["numerator"], row["denominator"]) == (made, total)
        failures = found["phase_creation_failures", 0]
        assert failures["state"] == ("alert" if name == "berlin" else "ok")
    said = [message["text"] for message in slack.messages()]
    assert said
    titles = [text for text in said if " · " in text.partition("\n")[0]]
    assert titles
    assert all(text.startswith("berlin · ") for text in titles)
    assert not any("hamburg" in text for text in said)
    assert all(
        "processing_time_incident__berlin" in str(m["blocks"])
        for m in slack.messages()
        if "thread_ts" not in m
    )


def test_an_action_is_of_one_application_only(two: Two, dags: Any, slack: StandInSlack) -> None:
    ran = Incidents(dags["processing_time_incident__berlin"]).run(
        action="mute",
        dry_run=False,
        rule="phase_creation_success_rate",
        until=(datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="minutes"),
        reason="a test of the salon",
    )
    assert ran.states["run"] == "success"
    muted = {
        name: [row["rule"] for row in rows(application, two.server, "SELECT rule FROM mutes")]
        if rows(application, two.server, "SHOW TABLES LIKE 'mutes'")
        else []
        for name, application in two.applications.items()
    }
    assert muted == {"berlin": ["phase_creation_success_rate"], "hamburg": []}


def test_each_has_its_own_weekly_report(two: Two, dags: Any, slack: StandInSlack, tmp_path: Path) -> None:
    run = dags["processing_time_weekly_report__hamburg"].test(
        run_conf={"as_of": MONDAY.isoformat(), "dry_run": False, "company_id": None}
    )
    assert set(states(run).values()) == {"success"}
    kept = rows(two.applications["hamburg"], two.server, "SELECT DISTINCT period_start FROM weekly")
    assert [row["period_start"] for row in kept] == [date(2026, 6, 1)]
    assert not rows(two.applications["berlin"], two.server, "SHOW TABLES")
    (page,) = (tmp_path / "pages").iterdir()
    assert page.name == "weekly-2026-06-01__hamburg.html"
    assert "hamburg · " in page.read_text(encoding="utf-8")
    assert slack.messages()[0]["text"].startswith("hamburg · ")


def test_a_sentence_names_the_connection_of_the_target(
    two: Two, dags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{CONNECTION}REDIS__BERLIN", "redis://127.0.0.1:1/1")
    dag = dags["processing_time_health_check__berlin"]
    dag.test(run_conf={"as_of": AS_OF.isoformat(), "dry_run": False})
    (row,) = rows(
        two.applications["berlin"],
        two.server,
        "SELECT reason FROM samples WHERE metric = 'cached_availability_entries'",
    )
    assert "the connection processing_time_redis__berlin" in row["reason"]


def test_a_store_that_names_no_schema_is_refused(
    two: Two, dags: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be the schema of whoever else names none."""
    name = f"{CONNECTION}STORE__HAMBURG"
    monkeypatch.setenv(name, os.environ[name].replace("/processing_time_monitor_hamburg", "/"))
    run = dags["processing_time_health_check__hamburg"].test(
        run_conf={"as_of": AS_OF.isoformat(), "dry_run": False}
    )
    assert states(run)["evaluate"] in ("failed", "upstream_failed")
    assert (
        "the connection processing_time_store__hamburg names no database: end it with one that only this target uses,"
        " such as /processing_time_monitor_hamburg"
    ) in capsys.readouterr().out


def test_a_faulty_target_tells_of_its_fault_and_the_other_is_checked(
    two: Two, airflow_db: None, slack: StandInSlack, monkeypatch: Any, capsys: Any
) -> None:
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv(f"{SETTING}TARGETS__BERLIN__SILENT_AFTER", "2 weeks")
    dags = DagBag(PROJECT / "dags" / "processing_time_health_check.py").dags
    ended = checked(two, dags)
    assert ended["hamburg"]["run"] == "success"
    assert ended["berlin"] == dict.fromkeys(
        ("collect_database", "collect_log", "collect_cache", "evaluate", "run"), "failed"
    ) | dict.fromkeys(("escalate", "request_toggle", "verdict"), "upstream_failed")
    assert "targets.berlin: silent_after = '2 weeks' is not a duration" in capsys.readouterr().out
    told = [message["text"] for message in slack.messages()]
    assert told
    assert all(
        "of processing_time_health_check__berlin failed (AirflowFailException)" in text for text in told
    )
    assert not rows(two.applications["berlin"], two.server, "SHOW TABLES")
