# SPDX-License-Identifier: MIT
"""The incident DAG through a real scheduler and executor: runs wait side by side, hold up no diagnosis, and level 3 starts one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import StandInSlack
from demo.traffic import Plan, Surge, Trouble, generate
from demo.whole_airflow import Api, standalone, until
from tests.integration.incident_runs import APPROVED_AND_DONE, INCIDENT
from tests.integration.laravel import PHP, Laravel, needs_laravel

CHECK = "processing_time_health_check"
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
CLEAR = {"action": "clear_availability_cache", "dry_run": False}


class Airflow(Api):
    """What a person asks of Airflow's API about a run of the incident DAG.

    :ivar log: what its scheduler has written so far.
    """

    def __init__(self, url: str, log: Path) -> None:
        super().__init__(url)
        self.log = log

    def start(self, **conf: Any) -> str:
        return self.trigger(INCIDENT, **conf)

    def waits(self, run: str) -> bool:
        """Whether a person is asked, and the scheduler knows that the task has paused.

        Airflow's API shows the question up to a second before that. An answer in between is lost: the scheduler then
        takes the pausing for the end of the resumed task, and fails it (docs/incident.md). No person is that quick.
        """
        noted = f"TaskInstance Finished: dag_id={INCIDENT}, task_id=approve, run_id={run},"
        asked = self.states(INCIDENT, run).get("approve") == "awaiting_input"
        return asked and noted in self.log.read_text(errors="replace")

    def answer(self, run: str, option: str) -> int:
        path = f"/api/v2/dags/{INCIDENT}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        return self.client.patch(path, json={"chosen_options": [option], "params_input": {}}).status_code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Airflow]]:
    """Starts a whole Airflow, with these variables on top of the test's own."""
    with contextlib.ExitStack() as running:

        def started(**more: str) -> Airflow:
            url = running.enter_context(standalone(tmp_path, {**os.environ, **more}))
            return Airflow(url, tmp_path / "standalone.log")

        yield started


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
    until(lambda: airflow.known(INCIDENT), "the DAG is there")
    with contextlib.closing(redis_server.client(1)) as client:
        client.set("booking_database_booking_cache_:week_availability:1:2:2026-11-23:pt_1", "a:0:{}")
    first, second = airflow.start(**CLEAR), airflow.start(**CLEAR)
    for run in (first, second):
        until(lambda run=run: airflow.waits(run), "a person is asked")
    diagnosis = airflow.start(action="diagnose")
    assert until(lambda: airflow.ended(INCIDENT, diagnosis), "the diagnosis ends") == "success"
    assert (airflow.waits(first), airflow.waits(second)) == (True, True)

    assert airflow.answer(second, "Approve") == 200
    assert until(lambda: airflow.ended(INCIDENT, second), "the second run ends") == "success"
    assert airflow.waits(first)
    assert airflow.answer(first, "Reject") == 200
    assert until(lambda: airflow.ended(INCIDENT, first), "the first run ends") == "success"
    assert (airflow.states(INCIDENT, first)["act"], airflow.states(INCIDENT, second)["act"]) == (
        "skipped",
        "success",
    )

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
    until(lambda: airflow.known(CHECK, INCIDENT), "the DAGs are there")
    for hours in (2, 1, 0):
        run = airflow.trigger(CHECK, as_of=(AS_OF - timedelta(hours=hours)).isoformat())
        # Red: the verdict is what it has to be.
        assert until(lambda run=run: airflow.ended(CHECK, run), "the check ends") == "failed"

    with contextlib.closing(mariadb.root(application.store)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, level FROM alerts WHERE rule = 'phase_creation_success_rate'")
        ((alert, level),) = cursor.fetchall()
    asked = f"alert-{alert}-disable-feature"
    assert level == 3
    until(lambda: airflow.waits(asked), "a person is asked")
    assert laravel.artisan().features()["processing_time_enabled"] is True

    assert airflow.answer(asked, "Approve") == 200
    assert airflow.finished(INCIDENT, asked) == APPROVED_AND_DONE
    assert laravel.artisan().features()["processing_time_enabled"] is False
    assert audit(application, mariadb) == {asked: ("done", 1)}
    root = next(m for m in slack.messages() if f"*Alert*\\n{alert}'" in str(m.get("blocks")))
    thread = [m["text"].splitlines()[0] for m in slack.messages() if m.get("thread_ts") == root["ts"]]
    assert len({line for line in thread if "disable_feature" in line}) == 2, thread
