# SPDX-License-Identifier: MIT
"""Runs of the incident DAG in this process's Airflow, and the people who answer when it asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

INCIDENT = "processing_time_incident"
NOTHING: dict[str, Any] = dict.fromkeys(
    ("alert_id", "company_id", "service_id", "appointment_ids", "cache_key", "rule", "until", "reason")
)
PATIENCE = 60
#: The states of a run whose only question was answered with yes.
APPROVED_AND_DONE = {
    "prepare": "success",
    "approve": "success",
    "second_approval": "skipped",
    "act": "success",
    "finish": "success",
    "run": "success",
}

Audit = Callable[[], list[dict[str, Any]]]


@dataclass
class Ran:
    """A run that has ended: the states of its tasks and, under ``run``, its own."""

    run_id: str
    states: dict[str, str]


@dataclass
class Reply:
    """What the API said to an answer."""

    status: int
    body: Any = field(repr=False)


class People:
    """Users of Airflow, through its real API."""

    def __init__(self) -> None:
        from airflow.api_fastapi.app import create_app
        from starlette.testclient import TestClient

        self._client = TestClient(create_app(apps="core"), base_url="http://testserver")

    def waiting(self, run_id: str = "~") -> list[dict[str, Any]]:
        """The open questions of a run."""
        path = f"/api/v2/dags/{INCIDENT}/dagRuns/{run_id}/hitlDetails?response_received=false"
        answer = self._client.get(path, headers=self._as("watcher"))
        assert answer.status_code == 200, answer.text
        return [d for d in answer.json()["hitl_details"] if d["task_instance"]["state"] == "awaiting_input"]

    def answer(
        self, user: str, detail: Mapping[str, Any], option: str, params: Mapping[str, Any] | None = None
    ) -> Reply:
        """Answer a question as a user."""
        instance = detail["task_instance"]
        path = (
            f"/api/v2/dags/{INCIDENT}/dagRuns/{instance['dag_run_id']}/taskInstances/{instance['task_id']}"
            "/-1/hitlDetails"
        )
        body = {"chosen_options": [option], "params_input": dict(params or {})}
        answer = self._client.patch(path, json=body, headers=self._as(user))
        return Reply(answer.status_code, answer.json())

    def trigger(self, user: str, conf: Mapping[str, Any]) -> Reply:
        """Send the form as a user."""
        answer = self._client.post(
            f"/api/v2/dags/{INCIDENT}/dagRuns",
            json={"logical_date": None, "conf": dict(conf)},
            headers=self._as(user),
        )
        return Reply(answer.status_code, answer.json())

    def _as(self, user: str) -> dict[str, str]:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role="admin"))
        return {"Authorization": f"Bearer {token}"}


class Incidents:
    """The incident DAG."""

    def __init__(self, dag: Any) -> None:
        self.dag = dag

    def run(self, **conf: Any) -> Ran:
        """A run with these params, to its end."""
        # Airflow's `dag.test` keeps what one run was given as the default of the next: say everything each time.
        run = self.dag.test(run_conf={"action": "diagnose", "dry_run": True, **NOTHING, **conf})
        return self._ran(run)

    def cleared(self, ran: Ran, *tasks: str) -> Ran:
        """Clear these tasks of a run and no others, and let it go on to its end."""
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import clear_task_instances
        from airflow.sdk import DagRunState, TaskInstanceState
        from airflow.sdk.definitions.dag import _run_task
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            run = session.scalar(select(DagRun).where(DagRun.run_id == ran.run_id))
            chosen = [i for i in run.get_task_instances(session=session) if i.task_id in tasks]
            clear_task_instances(chosen, session, dag_run_state=DagRunState.RUNNING)
            session.commit()
            # As `dag.test` does it, which knows new runs only.
            run.dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(self.dag))
            while run.state == DagRunState.RUNNING:
                session.expire_all()
                ready, _ = run.update_state(session=session)
                for instance in ready:
                    instance.try_number += 1
                    instance.state = TaskInstanceState.SCHEDULED
                session.commit()
                instances = run.get_task_instances(session=session)
                due = [i for i in instances if i.state == TaskInstanceState.SCHEDULED]
                for instance in due:
                    _run_task(ti=instance, task=self.dag.task_dict[instance.task_id])
                if not due:
                    time.sleep(0.1)
            return self._ran(run)

    def _ran(self, run: Any) -> Ran:
        states = {i.task_id: str(i.state) for i in run.get_task_instances()} | {"run": str(run.state)}
        return Ran(run.run_id, states)


def answering(people: People, user: str, option: str, params: Any = None) -> Callable[[], bool]:
    """Answer the first open question as a user."""

    def act() -> bool:
        for detail in people.waiting():
            assert people.answer(user, detail, option, params).status == 200
            return True
        return False

    return act


@contextmanager
def somebody(act: Callable[[], bool]) -> Iterator[None]:
    """Do something again and again beside a run, until it returns true; its failure is the test's."""
    ended = threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while not ended.wait(0.1):
                if act():
                    return
        except BaseException as error:  # noqa: BLE001  # raised again below
            problems.append(error)
            _nobody_waits_any_more()

    # A question that nobody answers would never let the run end.
    alarm = threading.Timer(PATIENCE, _nobody_waits_any_more)
    alarm.daemon = True
    alarm.start()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        alarm.cancel()
        thread.join(PATIENCE)
    if problems:
        raise problems[0]


def _nobody_waits_any_more() -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        waiting = TaskInstance.state == "awaiting_input"
        session.execute(update(TaskInstance).where(waiting).values(state="failed"))
