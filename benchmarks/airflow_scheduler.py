# SPDX-License-Identifier: MIT
"""A whole Airflow with LocalExecutor beside the stand-in application: how long a triggered run takes."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import ON_CALL_GROUP, StandInSlack
from demo.traffic import Plan, Surge, Trouble, generate
from demo.whole_airflow import Api, home, standalone, until

PROJECT = Path(__file__).resolve().parents[1]
HEALTH_CHECK = "processing_time_health_check"
EMPTY = "empty_health_check"
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
MEASURED = ("collect_database", "collect_log", "collect_cache", "evaluate", "escalate")


class Scheduler:
    """An Airflow that runs, an application in trouble and a Slack that is told."""

    def __init__(self, url: str, application: Application, slack: StandInSlack) -> None:
        self._api = Api(url)
        self._application = application
        self._slack = slack
        until(lambda: self._api.known(HEALTH_CHECK, EMPTY), "both DAGs are known")

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
        task = self._api.tasks(EMPTY, run)["escalate"]
        return datetime.fromisoformat(task["end_date"]).timestamp() - start

    def _run(self, dag_id: str) -> tuple[float, str, dict[str, str | None]]:
        """When a run was triggered, its id, and how the tasks up to ``escalate`` ended, once it has ended."""
        start = time.time()
        run = self._api.trigger(dag_id, as_of=AS_OF.isoformat())
        states = self._api.finished(dag_id, run)
        return start, run, {task: state for task, state in states.items() if task in MEASURED}

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
        variables = {
            **_callers(),
            **application.environment(slack.connection(), slack.channels, ON_CALL_GROUP),
            "AIRFLOW__CORE__DAGS_FOLDER": str(_dags(work / "dags")),
        }
        yield Scheduler(stack.enter_context(standalone(work, variables)), application, slack)


def environment(directory: Path) -> dict[str, str]:
    """The environment of an Airflow in a directory of its own, with nothing of the caller's Airflow in it."""
    directory.mkdir(parents=True, exist_ok=True)
    return {**_callers(), **home(directory)}


def _callers() -> dict[str, str]:
    # Without byte-code every parse would compile what it imports.
    others = ("AIRFLOW", "PROCESSING_TIME", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}


def _dags(folder: Path) -> Path:
    """A folder with the two DAGs and no other."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "dags" / f"{HEALTH_CHECK}.py", folder)
    shutil.copy(PROJECT / "benchmarks" / "airflow_dags" / f"{EMPTY}.py", folder)
    return folder
