# SPDX-License-Identifier: MIT
"""A whole Airflow that runs beside a test, a benchmark or a demo, and its API as a person uses it.

`standalone` is one machine with LocalExecutor on SQLite; `demo.celery_airflow` has workers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from demo.processes import ManagedProcess, free_port
from demo.standalone import start

PROJECT = Path(__file__).resolve().parents[1]
#: Seconds that something may take on a busy machine.
PATIENCE = 240.0

T = TypeVar("T")


class Api:
    """What a person asks of a running Airflow where everybody is an administrator. `client` is for everything else."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self.client.headers["Authorization"] = f"Bearer {self._get('/auth/token')['access_token']}"

    def known(self, *dags: str) -> bool:
        """Whether these DAGs have been read.

        :raises RuntimeError: when a DAG file does not load, with Airflow's words.
        """
        if errors := self._get("/api/v2/importErrors")["import_errors"]:
            raise RuntimeError(errors[0]["stack_trace"])
        return all(self.client.get(f"/api/v2/dags/{dag}").status_code == 200 for dag in dags)

    def trigger(self, dag: str, **conf: Any) -> str:
        """Start a run with these parameters; its id."""
        run = f"asked_{uuid4()}"
        body = {"logical_date": None, "conf": conf, "dag_run_id": run}

        def asked() -> bool:
            answer = self.client.post(f"/api/v2/dags/{dag}/dagRuns", json=body)
            # Airflow's own SQLite is sometimes locked; the run may be there nevertheless.
            if answer.status_code not in (200, 409) and "Database error" not in answer.text:
                raise RuntimeError(answer.text)
            return answer.status_code < 500

        until(asked, "the run is there")
        return run

    def state(self, dag: str, run: str) -> str:
        """How a run is."""
        return str(self._get(f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def ended(self, dag: str, run: str) -> str:
        """``success`` or ``failed``; empty while the run goes on."""
        state = self.state(dag, run)
        return state if state in ("success", "failed") else ""

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """What Airflow knows of each task of a run, by task id: ``state``, ``try_number``, ``hostname`` …"""
        found = self._get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, dag: str, run: str) -> dict[str, str | None]:
        """The state of each task of a run."""
        return {name: task["state"] for name, task in self.tasks(dag, run).items()}

    def finished(self, dag: str, run: str) -> dict[str, str | None]:
        """The states of a run's tasks, and its own under ``run``, once it has ended."""
        ended = until(lambda: self.ended(dag, run), f"a run of {dag} ends")
        return self.states(dag, run) | {"run": ended}

    def healthy(self) -> bool:
        """Whether scheduler and DAG processor are there."""
        found = self._get("/api/v2/monitor/health")
        return all(
            found[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor")
        )

    def _get(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()


def until(condition: Callable[[], T], what: str) -> T:
    """Wait for what `condition` gives to be true, and give it.

    :raises TimeoutError: after PATIENCE seconds, saying what was waited for.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:.0f} s in vain until {what}")
        time.sleep(0.25)
    return found


def home(directory: Path) -> dict[str, str]:
    """The variables of an Airflow that keeps everything in a directory of its own."""
    return {
        "AIRFLOW_HOME": str(directory),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{directory}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{directory}/logs",
        "PYTHONPATH": os.pathsep.join((str(PROJECT / "plugins"), str(PROJECT))),
    }


def on_demand() -> dict[str, str]:
    """The variables of an Airflow whose DAGs run when they are triggered, and at no other time."""
    return {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    }


@contextmanager
def standalone(directory: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run an Airflow with LocalExecutor in `directory`; its address. Its DAGs run on demand."""
    process = ManagedProcess(directory, "standalone")
    variables = {**environment, **home(directory / "airflow"), **on_demand()}
    try:
        yield start(process, free_port(), variables)
    finally:
        process.stop()
