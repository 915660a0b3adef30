# SPDX-License-Identifier: MIT
"""The incident DAG through a real scheduler and executor: runs wait side by side, hold up no diagnosis, and level 3 starts one."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from demo.application import Application
from demo.processes import ManagedProcess, free_port
from demo.services import MariaDB, Redis
from demo.slack import StandInSlack
from demo.standalone import answers, settings
from demo.traffic import Plan, Surge, Trouble, generate
from tests.integration.incident_runs import INCIDENT
from tests.integration.laravel import PHP, Laravel, needs_laravel

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0
CHECK = "processing_time_health_check"
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
CLEAR = {"action": "clear_availability_cache", "dry_run": False}


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain until {what}"
        time.sleep(0.5)
    return found


class Airflow:
    """What a person asks of Airflow's API."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        token = self._client.get("/auth/token").json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def known(self, dag: str = INCIDENT) -> bool:
        return self._client.get(f"/api/v2/dags/{dag}").status_code == 200

    def start(self, dag: str = INCIDENT, **conf: Any) -> str:
        run = f"asked_{uuid4()}"
        body = {"logical_date": None, "conf": conf, "dag_run_id": run}

        def asked() -> bool:
            answer = self._client.post(f"/api/v2/dags/{dag}/dagRuns", json=body)
            # Airflow's own SQLite database is sometimes locked; the run may be there nevertheless.
            assert answer.status_code in (200, 409) or "Database error" in answer.text, answer.text
            return answer.status_code != 500

        until(asked, "the run is there")
        return run

    def waits(self, run: str) -> bool:
        return self.states(run).get("approve") == "awaiting_input"

    def states(self, run: str) -> dict[str, str]:
        found = self._client.get(f"/api/v2/dags/{INCIDENT}/dagRuns/{run}/taskInstances").json()
        return {t["task_id"]: t["state"] for t in found["task_instances"]}

    def ended(self, run: str, dag: str = INCIDENT) -> str:
        state = self._client.get(f"/api/v2/dags/{dag}/dagRuns/{run}").json()["state"]
        return state if state in ("success", "failed") else ""

    def answer(self, run: str, option: str) -> int:
        path = f"/api/v2/dags/{INCIDENT}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        return self._client.patch(path, json={"chosen_options": [option], "params_input": {}}).status_code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Airflow]]:
    """Starts a whole Airflow, with these variables on top of the test's own."""
    process = ManagedProcess(tmp_path, "standalone")

    def started(**more: str) -> Airflow:
        port, home = free_port(), tmp_path / "airflow"
        url = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            **settings(port),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "PYTHONPATH": str(PROJECT / "plugins"),
            # The scheduled runs of the present are not what is looked at here.
            "PROCESSING_TIME__SCHEDULE__HEALTH_CHECK": "0 0 29 2 *",
            **more,
        }
        process.start(
            [sys.executable, "-m", "airflow", "standalone"],
            ready=lambda: answers(f"{url}/api/v2/version"),
            within=PATIENCE,
            environment=environment,
        )
        return Airflow(url)

    yield started
    process.stop()


def audit(application: Application, mariadb: MariaDB) -> dict[str, tuple[str, int]]:
    with contextlib.closing(mariadb.root(application.store)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT dag_run_id, outcome, approved_by IS NOT NULL FROM actions")
        return {run: (outcome, approved) for run, outcome, approved in cursor.fetchall()}


def test_two_runs_wait_and_a_diagnosis_does_not(
    start: Callable[..., Airflow],
    application: Application,
    watch: Callable[[Application], None],
    mariadb: MariaDB,
    redis_server: Redis,
) -> None:
    application.build(generate(Plan(datetime.now(UTC).replace(microsecond=0), days=2, requests_a_day=60)))
    watch(application)
    airflow = start(PROCESSING_TIME__INCIDENT__APPROVE_ABOVE="0")
    until(airflow.known, "the DAG is there")
    with contextlib.closing(redis_server.client(1)) as client:
        client.set("booking_database_booking_cache_:week_availability:1:2:2026-11-23:pt_1", "a:0:{}")
    first, second = airflow.start(**CLEAR), airflow.start(**CLEAR)
    for run in (first, second):
        until(lambda run=run: airflow.waits(run), "a person is asked")
    diagnosis = airflow.start(action="diagnose")
    assert until(lambda: airflow.ended(diagnosis), "the diagnosis ends") == "success"
    assert (airflow.waits(first), airflow.waits(second)) == (True, True)

    assert airflow.answer(second, "Approve") == 200
    assert until(lambda: airflow.ended(second), "the second run ends") == "success"
    assert airflow.waits(first)
    assert airflow.answer(first, "Reject") == 200
    assert until(lambda: airflow.ended(first), "the first run ends") == "success"
    assert (airflow.states(first)["act"], airflow.states(second)["act"]) == ("skipped", "success")

    assert audit(application, mariadb) == {
        first: ("rejected", 0),
        second: ("done", 1),
        diagnosis: ("dry_run", 0),
    }
    with contextlib.closing(redis_server.client(1)) as client:
        assert list(client.scan_iter("*week_availability:*:pt_*")) == []


@needs_laravel
def test_level_3_asks_before_it_switches_off(
    start: Callable[..., Airflow],
    application: Application,
    watch: Callable[[Application], None],
    mariadb: MariaDB,
    slack: StandInSlack,
    tmp_path: Path,
) -> None:
    since = AS_OF - timedelta(hours=4)
    trouble = Trouble(since, AS_OF, 0.95)
    application.build(
        generate(Plan(AS_OF, days=2, surges=(Surge(since, AS_OF, per_hour=60),), phase_failures=(trouble,)))
    )
    watch(application)
    laravel = Laravel(mariadb, tmp_path / "laravel")
    where = {"path": str(laravel.directory), "php": PHP}
    airflow = start(
        PROCESSING_TIME__ESCALATION__TOGGLE_AFTER="1",
        AIRFLOW_CONN_PROCESSING_TIME_LARAVEL=json.dumps({"conn_type": "generic", "extra": where}),
    )
    for dag in (CHECK, INCIDENT):
        until(lambda dag=dag: airflow.known(dag), "the DAGs are there")
    for hours in (2, 1, 0):
        run = airflow.start(CHECK, as_of=(AS_OF - timedelta(hours=hours)).isoformat())
        # Red: the verdict is what it has to be.
        assert until(lambda run=run: airflow.ended(run, CHECK), "the check ends") == "failed"

    with contextlib.closing(mariadb.root(application.store)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, level FROM alerts WHERE rule = 'phase_creation_success_rate'")
        ((alert, level),) = cursor.fetchall()
    asked = f"alert-{alert}-disable-feature"
    assert level == 3
    until(lambda: airflow.waits(asked), "a person is asked")
    assert laravel.artisan().features()["processing_time_enabled"] is True

    def approved() -> str:
        # An answer in the very second of the question is lost by Airflow's scheduler, and asked for again.
        if airflow.waits(asked):
            assert airflow.answer(asked, "Approve") in (200, 409)
        return airflow.ended(asked)

    assert until(approved, "the feature is switched off") == "success"
    assert laravel.artisan().features()["processing_time_enabled"] is False
    assert audit(application, mariadb) == {asked: ("done", 1)}
    root = next(m for m in slack.messages() if f"*Alert*\\n{alert}'" in str(m.get("blocks")))
    thread = [m["text"].splitlines()[0] for m in slack.messages() if m.get("thread_ts") == root["ts"]]
    assert len({line for line in thread if "disable_feature" in line}) == 2, thread
