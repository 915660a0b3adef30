# SPDX-License-Identifier: MIT
"""One check through a real scheduler and LocalExecutor, triggered as a person does: tasks are processes of their own."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.application import Application
from demo.processes import ManagedProcess, free_port
from demo.services import MariaDB
from demo.slack import StandInSlack
from demo.standalone import answers, settings
from demo.traffic import Plan, Surge, Trouble, generate

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
DAG = "processing_time_health_check"
PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0


class Airflow:
    """What a person asks of Airflow's API."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._token = self._call("/auth/token")["access_token"]

    def _call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if hasattr(self, "_token"):
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(
            self._url + path, json.dumps(body).encode() if body is not None else None, headers
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=30) as answer:
            return json.load(answer)

    def trigger(self, conf: dict[str, Any]) -> str:
        """Start a run; its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self._call(f"/api/v2/dags/{DAG}/dagRuns", body)["dag_run_id"])

    def known(self) -> bool:
        """Whether the DAG has been read."""
        return any(dag["dag_id"] == DAG for dag in self._call("/api/v2/dags")["dags"])

    def finished(self, run: str) -> dict[str, str]:
        """The states of the run's tasks and of itself, once it has ended."""
        until(lambda: self._state(run) in ("success", "failed"), "the run ends")
        tasks = self._call(f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances")["task_instances"]
        return {t["task_id"]: t["state"] for t in tasks} | {"run": self._state(run)}

    def _state(self, run: str) -> str:
        return str(self._call(f"/api/v2/dags/{DAG}/dagRuns/{run}")["state"])


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain until {what}"
        time.sleep(0.25)


@pytest.fixture
def airflow(
    application: Application, watch: Callable[[Application], None], tmp_path: Path
) -> Iterator[Airflow]:
    """A whole Airflow beside an application whose observer fails for one company."""
    start = AS_OF - timedelta(minutes=55)
    plan = Plan(
        AS_OF,
        days=8,
        surges=(Surge(start, AS_OF, per_hour=140),),
        phase_failures=(Trouble(start, AS_OF, 0.95, company_id=2),),
    )
    application.build(generate(plan))
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
    }
    # The scheduled runs of the present are not what is looked at here.
    environment["PROCESSING_TIME__SCHEDULE__HEALTH_CHECK"] = "0 0 29 2 *"
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


def test_a_check_that_a_person_triggers(
    airflow: Airflow, application: Application, mariadb: MariaDB, slack: StandInSlack
) -> None:
    until(airflow.known, "the DAG is there")
    states = airflow.finished(airflow.trigger({"as_of": "2026-06-10T14:00"}))
    assert states == {
        **dict.fromkeys(
            ("collect_database", "collect_log", "collect_cache", "evaluate", "escalate"), "success"
        ),
        "request_toggle": "skipped",
        "verdict": "failed",
        "run": "failed",
    }
    roots = [m["text"] for m in slack.messages() if m.get("thread_ts", m["ts"]) == m["ts"]]
    assert [r.startswith("🚨 CRITICAL · Phase creation success rate") for r in roots if "CRITICAL" in r] == [
        True
    ]
    connection = mariadb.root(application.store)
    cursor = connection.cursor()
    cursor.execute("SELECT as_of, state, finished_at IS NOT NULL FROM checks")
    assert cursor.fetchall() == ((AS_OF.replace(tzinfo=None), "critical", 1),)
    connection.close()
    told = slack.messages()
    refused = airflow.finished(airflow.trigger({"as_of": "tomorrow"}))
    assert refused["run"] == "failed"
    assert refused["evaluate"] == "failed"
    assert slack.messages() == told, "a mistyped time is nobody else's business"
