# SPDX-License-Identifier: MIT
"""Actions that go through the application, from Airflow's form to a real Laravel, and what the audit and Slack hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from demo.application import Application
from demo.services import MariaDB
from demo.slack import StandInSlack
from demo.traffic import Plan as Traffic
from demo.traffic import generate
from processing_time import doctor
from tests.integration.incident_runs import Audit, Incidents, People, answering, somebody
from tests.integration.laravel import PHP, SCHEMA, SECRET, Laravel, needs_laravel

pytestmark = needs_laravel


@pytest.fixture
def laravel(
    application: Application,
    watch: Callable[[Application], None],
    mariadb: MariaDB,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Laravel:
    """A Laravel that the monitor watches and may use."""
    application.build(generate(Traffic(datetime.now(UTC), days=1, requests_a_day=20)))
    watch(application)
    made = Laravel(mariadb, tmp_path / "laravel")
    where = {"path": str(made.directory), "php": PHP}
    socket = quote(mariadb.socket, safe="")
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_LARAVEL", json.dumps({"conn_type": "generic", "extra": where})
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_MYSQL", f"mysql://root@localhost/{SCHEMA}?unix_socket={socket}"
    )
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__ENV_FILE", str(made.environment))
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__SYNC_STATUS_COLUMN", "calcom_sync_status")
    return made


@pytest.fixture
def approved(people: People) -> Callable[[], bool]:
    """Anna says yes to the first question."""
    return answering(people, "anna", "Approve")


def test_level_3_switches_the_feature_off_after_a_yes_and_back_on(
    incidents: Incidents, approved: Callable[[], bool], laravel: Laravel, slack: StandInSlack, audit: Audit
) -> None:
    before = laravel.environment.read_bytes()
    with somebody(approved):
        ran = incidents.run(action="disable_feature", dry_run=False)
    assert ran.states["run"] == "success"
    assert laravel.artisan().features()["processing_time_enabled"] is False
    with somebody(approved):
        assert incidents.run(action="enable_feature", dry_run=False).states["run"] == "success"
    assert laravel.environment.read_bytes() == before

    rows = audit()
    assert [(row["action"], row["outcome"], row["approved_by"]) for row in rows] == [
        ("disable_feature", "done", "anna"),
        ("enable_feature", "done", "anna"),
    ]
    assert rows[0]["detail"]["result"]["detail"]["before"] == {
        "FEATURE_PROCESSING_TIME_ENABLED": "true",
        "FEATURE_PROCESSING_TIME_SERVICE_WHITELIST": "2,3",
    }
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        passed = session.scalars(select(XComModel.value)).all()
    told = [json.dumps(row, default=str) for row in rows] + [str(value) for value in passed]
    told += [message["text"] for message in slack.messages()]
    for secret in (SECRET, "c3RhbmQtaW4", "MAIL_PASSWORD"):
        assert not any(secret in text for text in told)


def test_a_dry_run_lists_the_phases_it_would_create_and_a_real_one_creates_them(
    incidents: Incidents, approved: Callable[[], bool], laravel: Laravel, audit: Audit
) -> None:
    laravel.service(1)
    laravel.appointment(4, 1, datetime.now(UTC) - timedelta(minutes=20))
    assert incidents.run(action="create_missing_phases").states["run"] == "success"
    assert laravel.phases() == {}
    with somebody(approved):
        ran = incidents.run(action="create_missing_phases", dry_run=False, appointment_ids="4")
    assert ran.states["run"] == "success"
    assert laravel.phases() == {4: ["initial", "processing", "final"]}
    dry, real = audit()
    assert dry["detail"]["plan"]["detail"] == real["detail"]["plan"]["detail"] == {"appointments": ["4"]}
    assert (dry["outcome"], real["outcome"]) == ("dry_run", "done")


def test_a_command_that_fails_leaves_its_exit_code_in_the_audit_and_the_run_red(
    incidents: Incidents, approved: Callable[[], bool], laravel: Laravel, audit: Audit
) -> None:
    (laravel.directory / "storage" / "framework" / "cache" / "data").rename(laravel.directory / "gone")
    with somebody(approved):
        ran = incidents.run(action="clear_application_cache", dry_run=False)
    assert ran.states["run"] == "failed"
    (row,) = audit()
    assert row["outcome"] == "failed"
    assert "Failed to clear cache" in json.dumps(row["detail"])


def test_without_the_connection_an_action_says_so(
    incidents: Incidents, laravel: Laravel, monkeypatch: pytest.MonkeyPatch, audit: Audit
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_PROCESSING_TIME_LARAVEL")
    assert incidents.run(action="disable_feature").states["run"] == "failed"
    (row,) = audit()
    assert row["outcome"] == "refused"
    assert "there is no connection processing_time_laravel" in json.dumps(row["detail"])


def test_the_doctor_asks_the_application(laravel: Laravel) -> None:
    about = [line for line in doctor.examine(datetime.now(UTC)) if line.what == "processing_time_laravel"]
    assert [(line.mark, line.text) for line in about] == [
        ("ok", "the application answers: processing time is on")
    ]
