# SPDX-License-Identifier: MIT
"""The incident DAG through a real scheduler and executor: runs wait side by side, and hold up no diagnosis."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.application import Application
from demo.processes import ManagedProcess, free_port
from demo.services import MariaDB, Redis
from demo.standalone import answers, settings
from demo.traffic import Plan, generate
from tests.integration.incident_runs import INCIDENT

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0
CLEAR = {"action": "clear_availability_cache", "dry_run": False}


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain until {what}"
        time.sleep(0.5)
    return found


class Airflow:
    """What a person asks of Airflow's API about the incident DAG."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        token = self._client.get("/auth/token").json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def known(self) -> bool:
        return self._client.get(f"/api/v2/dags/{INCIDENT}").status_code == 200

    def start(self, **conf: Any) -> str:
        answer = self._client.post(
            f"/api/v2/dags/{INCIDENT}/dagRuns", json={"logical_date": None, "conf": conf}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["dag_run_id"])

    def waits(self, run: str) -> bool:
        return self.states(run).get("approve") == "awaiting_input"

    def states(self, run: str) -> dict[str, str]:
        found = self._client.get(f"/api/v2/dags/{INCIDENT}/dagRuns/{run}/taskInstances").json()
        return {t["task_id"]: t["state"] for t in found["task_instances"]}

    def ended(self, run: str) -> str:
        state = self._client.get(f"/api/v2/dags/{INCIDENT}/dagRuns/{run}").json()["state"]
        return state if state in ("success", "failed") else ""

    def answer(self, run: str, option: str) -> int:
        path = f"/api/v2/dags/{INCIDENT}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        return self._client.patch(path, json={"chosen_options": [option], "params_input": {}}).status_code


@pytest.fixture
def airflow(
    application: Application, watch: Callable[[Application], None], tmp_path: Path
) -> Iterator[Airflow]:
    """A whole Airflow beside a healthy application; whatever clears its cache has to be approved."""
    application.build(generate(Plan(datetime.now(UTC).replace(microsecond=0), days=2, requests_a_day=60)))
    watch(application)
    port, home = free_port(), tmp_path / "airflow"
    environment = {
        **os.environ,
        **settings(port),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "PYTHONPATH": str(PROJECT / "plugins"),
        "PROCESSING_TIME__INCIDENT__APPROVE_ABOVE": "0",
        # The scheduled runs of the present are not what is looked at here.
        "PROCESSING_TIME__SCHEDULE__HEALTH_CHECK": "0 0 29 2 *",
    }
    url = f"http://127.0.0.1:{port}"
    process = ManagedProcess(tmp_path, "standalone")
    try:
        process.start(
            [sys.executable, "-m", "airflow", "standalone"],
            ready=lambda: answers(f"{url}/api/v2/version"),
            within=PATIENCE,
            environment=environment,
        )
        yield Airflow(url)
    finally:
        process.stop()


def test_two_runs_wait_and_a_diagnosis_does_not(
    airflow: Airflow, application: Application, mariadb: MariaDB, redis_server: Redis
) -> None:
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

    with contextlib.closing(mariadb.root(application.store)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT dag_run_id, outcome, approved_by IS NOT NULL FROM actions")
        rows = {run: (outcome, approved) for run, outcome, approved in cursor.fetchall()}
    assert rows == {first: ("rejected", 0), second: ("done", 1), diagnosis: ("dry_run", 0)}
    with contextlib.closing(redis_server.client(1)) as client:
        assert list(client.scan_iter("*week_availability:*:pt_*")) == []
