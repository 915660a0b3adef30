# SPDX-License-Identifier: MIT
"""One check through a real scheduler and LocalExecutor, triggered as a person does: tasks are processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.application import Application
from demo.services import MariaDB
from demo.slack import StandInSlack
from demo.traffic import Plan, Surge, Trouble, generate
from demo.whole_airflow import Api, standalone, until

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
DAG = "processing_time_health_check"


@pytest.fixture
def airflow(application: Application, watch: Callable[[Application], None], tmp_path: Path) -> Iterator[Api]:
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
    with standalone(tmp_path, os.environ) as url:
        yield Api(url)


def test_a_check_that_a_person_triggers(
    airflow: Api, application: Application, mariadb: MariaDB, slack: StandInSlack
) -> None:
    until(lambda: airflow.known(DAG), "the DAG is there")
    states = airflow.finished(DAG, airflow.trigger(DAG, as_of="2026-06-10T14:00"))
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
    refused = airflow.finished(DAG, airflow.trigger(DAG, as_of="tomorrow"))
    assert refused["run"] == "failed"
    assert refused["evaluate"] == "failed"
    assert slack.messages() == told, "a mistyped time is nobody else's business"
