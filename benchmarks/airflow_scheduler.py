# SPDX-License-Identifier: MIT
"""A whole Airflow with LocalExecutor beside the stand-in application: how long a triggered run takes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from demo.application import Application
from demo.processes import ManagedProcess, free_port
from demo.services import MariaDB, Redis
from demo.slack import ON_CALL_GROUP, StandInSlack
from demo.standalone import answers, settings
from demo.traffic import Plan, Surge, Trouble, generate

PROJECT = Path(__file__).resolve().parents[1]
HEALTH_CHECK = "processing_time_health_check"
EMPTY = "empty_health_check"
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
MEASURED = ("collect_database", "collect_log", "collect_cache", "evaluate", "escalate")
PATIENCE = 180.0


class Scheduler:
    """An Airflow that runs, an application in trouble and a Slack that is told."""

    def __init__(self, url: str, application: Application, slack: StandInSlack) -> None:
        self._url = url
        self._application = application
        self._slack = slack
        self._token = ""
        self._token = self._call("/auth/token")["access_token"]
        _until(lambda: {HEALTH_CHECK, EMPTY} <= self._dags(), "both DAGs are known")

    def until_told(self) -> float:
        """Seconds from the trigger of a health check to its first message, in a store without alerts."""
        self._forget()
        self._slack.reset()
        start, _, states = self._run(HEALTH_CHECK)
        if set(states.values()) != {"success"}:
            raise RuntimeError(f"the check did not come to a message: {states}")
        first: float = self._slack.calls("chat.postMessage")[0]["at"]
        return first - start

    def until_escalated(self) -> float:
        """Seconds from the trigger of the empty shape to the end of its ``escalate``."""
        start, run, _ = self._run(EMPTY)
        task = self._call(f"/api/v2/dags/{EMPTY}/dagRuns/{run}/taskInstances/escalate")
        return datetime.fromisoformat(task["end_date"]).timestamp() - start

    def _run(self, dag_id: str) -> tuple[float, str, dict[str, str]]:
        """When a run was triggered, its id, and how the tasks up to ``escalate`` ended, once it has ended."""
        start = time.time()
        body = {"logical_date": None, "conf": {"as_of": AS_OF.isoformat()}}
        run = str(self._call(f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

        def ended() -> bool:
            return self._call(f"/api/v2/dags/{dag_id}/dagRuns/{run}")["state"] in ("success", "failed")

        _until(ended, f"a run of {dag_id} ends")
        tasks = self._call(f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances")["task_instances"]
        states = {task["task_id"]: task["state"] for task in tasks if task["task_id"] in MEASURED}
        return start, run, states

    def _forget(self) -> None:
        """Empty the store, but for what says which migrations it has had."""
        with contextlib.closing(self._application.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = %s AND table_name IN ('checks', 'samples', 'alerts', 'notifications')",
                (self._application.store,),
            )
            tables = [name for (name,) in cursor.fetchall()]
            cursor.execute("SET SESSION foreign_key_checks = 0")
            for table in tables:
                cursor.execute(f"DELETE FROM {self._application.store}.{table}")

    def _dags(self) -> set[str]:
        return {dag["dag_id"] for dag in self._call("/api/v2/dags")["dags"]}

    def _call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            self._url + path,
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def running(work: Path) -> Iterator[Scheduler]:
    """Everything started, and ended afterwards."""
    with ExitStack() as stack:
        application = Application(
            stack.enter_context(MariaDB(work)), stack.enter_context(Redis(work)), work / "application"
        )
        slack = stack.enter_context(StandInSlack(work))
        start = AS_OF - timedelta(minutes=55)
        plan = Plan(
            AS_OF,
            days=8,
            surges=(Surge(start, AS_OF, per_hour=140),),
            phase_failures=(Trouble(start, AS_OF, 0.95, company_id=2),),
        )
        application.build(generate(plan))
        port, home = free_port(), work / "home"
        url = f"http://127.0.0.1:{port}"
        process = ManagedProcess(work, "standalone")
        stack.callback(process.stop)
        process.start(
            [sys.executable, "-m", "airflow", "standalone"],
            ready=lambda: answers(f"{url}/api/v2/version"),
            within=PATIENCE,
            environment={
                **environment(home),
                **application.environment(slack.connection(), slack.channels, ON_CALL_GROUP),
                **settings(port),
                "AIRFLOW__CORE__DAGS_FOLDER": str(_dags(work / "dags")),
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                # The scheduled runs of the present are not what is measured.
                "PROCESSING_TIME__SCHEDULE__HEALTH_CHECK": "0 0 29 2 *",
            },
        )
        yield Scheduler(url, application, slack)


def environment(home: Path) -> dict[str, str]:
    """The environment of an Airflow in a directory of its own, with nothing of the caller's Airflow in it."""
    home.mkdir(parents=True, exist_ok=True)
    # Without byte-code every parse would compile what it imports.
    others = ("AIRFLOW", "PROCESSING_TIME", "PYTHONDONTWRITEBYTECODE")
    callers = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {
        **callers,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
        "PYTHONPATH": os.pathsep.join((str(PROJECT / "plugins"), str(PROJECT))),
    }


def _dags(folder: Path) -> Path:
    """A folder with the two DAGs and no other."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "dags" / f"{HEALTH_CHECK}.py", folder)
    shutil.copy(PROJECT / "benchmarks" / "airflow_dags" / f"{EMPTY}.py", folder)
    return folder


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:.0f} s in vain until {what}")
        time.sleep(0.2)
