# SPDX-License-Identifier: MIT
"""What every DAG of this project promises, and that there are exactly those that are listed here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BERLIN = ZoneInfo("Europe/Berlin")

#: DAG id → the local hours of its runs on a day with a run.
EXPECTED = {
    "processing_time_health_check": range(8, 21),
    "processing_time_incident": (),
    "processing_time_monthly_rollup": (7,),
    "processing_time_weekly_report": (8,),
}

#: Runs of these wait for people: any number may wait side by side, and no time limit but the question's own ends them.
WAITING = ("processing_time_incident",)

#: What costs a parse more than it may: database and Slack clients, pattern engines, data frames.
HEAVY = (
    "MySQLdb",
    "airflow.providers.mysql",
    "airflow.providers.redis",
    "airflow.providers.slack",
    "fastapi",
    "hyperscan",
    "matplotlib",
    "mysql.connector",
    "numpy",
    "pandas",
    "pydantic_settings",
    "redis",
    "slack_sdk",
)

#: What only tasks need. It is quick, but each module of dataclasses takes milliseconds, at every parse.
OF_TASKS = tuple(
    f"processing_time.{name}"
    for name in (
        "alerting",
        "delivery",
        "evaluation",
        "messages",
        "model",
        "outbox",
        "reports",
        "sources",
        "store",
        "summary",
        "timeline",
    )
)


@pytest.fixture(scope="module")
def bag(airflow_db: None) -> Any:
    """The DAG folder as Airflow loads it."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(PROJECT / "dags")


def test_the_dags_are_exactly_those_listed_and_each_has_a_file_of_its_name(bag: Any):
    assert bag.import_errors == {}
    files = {
        dag_id: Path(dag.fileloc).relative_to(PROJECT / "dags").as_posix() for dag_id, dag in bag.dags.items()
    }
    assert files == {dag_id: f"{dag_id}.py" for dag_id in EXPECTED}
    assert {path.stem for path in (PROJECT / "dags").rglob("*.py")} == set(EXPECTED)


@pytest.fixture(params=EXPECTED)
def dag(bag: Any, request: pytest.FixtureRequest) -> Any:
    """One DAG of the bag."""
    return bag.dags[request.param]


def test_a_dag_explains_itself_and_has_an_owner(dag: Any):
    assert len(dag.doc_md.splitlines()) > 5
    assert {task.owner for task in dag.tasks} == {"processing-time"}
    assert "processing-time" in dag.tags


def test_runs_do_not_overlap_and_are_not_made_up_for(dag: Any):
    assert dag.catchup is False
    if dag.dag_id in WAITING:
        assert dag.max_active_runs > 1
        assert dag.dagrun_timeout is None
        return
    assert dag.max_active_runs == 1
    assert timedelta(0) < dag.dagrun_timeout < timedelta(hours=1)


def test_tasks_are_bounded_and_retried(dag: Any):
    longest = dag.dagrun_timeout or timedelta(hours=1)
    for task in dag.tasks:
        assert timedelta(0) < task.execution_timeout <= longest, task.task_id
        if task.task_id == "verdict":
            # Its red is a finding: repeating it finds the same, and a message would announce it twice.
            assert (task.retries, list(task.on_failure_callback)) == (0, [])
            continue
        assert task.retries >= 1, task.task_id
        # What fails before the last task of an incident run, that task tells.
        last = dag.dag_id not in WAITING or not task.downstream_task_ids
        assert bool(task.on_failure_callback) is last, task.task_id


def test_statements_end_before_the_tasks_that_wait_for_them(bag: Any):
    from processing_time.settings import load

    timeout = load().schedule.statement_timeout
    assert all(timeout < task.execution_timeout for dag in bag.dags.values() for task in dag.tasks)


def test_a_dag_survives_serialisation(dag: Any):
    from airflow.serialization.serialized_objects import DagSerialization

    copy = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert copy.task_ids == dag.task_ids
    assert copy.doc_md == dag.doc_md


def test_the_health_check_has_the_tasks_of_the_contract(bag: Any):
    dag = bag.dags["processing_time_health_check"]
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "collect_database": {"evaluate"},
        "collect_log": {"evaluate"},
        "collect_cache": {"evaluate"},
        "evaluate": {"escalate"},
        "escalate": {"request_toggle", "verdict"},
        "request_toggle": set(),
        "verdict": set(),
    }
    assert dag.get_task("evaluate").trigger_rule == "all_done"
    assert set(dag.params) == {"as_of", "dry_run"}


def test_the_incident_dag_asks_before_it_acts_and_always_completes_its_audit(bag: Any):
    dag = bag.dags["processing_time_incident"]
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "prepare": {"approve"},
        "approve": {"second_approval", "act"},
        "second_approval": {"act"},
        "act": {"finish"},
        "finish": set(),
    }
    assert {t.task_id: t.trigger_rule for t in dag.tasks if t.trigger_rule != "all_success"} == {
        "second_approval": "none_failed",
        "act": "none_failed",
        "finish": "all_done",
    }
    for task_id in ("approve", "second_approval"):
        task = dag.get_task(task_id)
        assert (task.options, task.defaults) == (["Approve", "Reject"], ["Reject"])
        assert task.response_timeout == timedelta(hours=4)
    assert dag.params["action"] == "diagnose"
    assert dag.params["dry_run"] is True


def test_automatic_recovery_is_a_leaf_of_its_own_where_it_is_on(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("PROCESSING_TIME__AUTO_RECOVERY__FAILED_SYNCS", "5")
    dag = DagBag(PROJECT / "dags").dags["processing_time_health_check"]
    assert dag.get_task("escalate").downstream_task_ids == {"recover", "request_toggle", "verdict"}
    assert dag.get_task("recover").downstream_task_ids == set()
    assert dag.get_task("recover").retries >= 1


def ticks(dag: Any, first: datetime, end: datetime) -> list[datetime]:
    """Local times of the scheduled runs in [first, end), asked of the timetable one after the other."""
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction
    from pendulum import instance

    timetable = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).timetable
    restriction = TimeRestriction(earliest=instance(first), latest=None, catchup=True)
    runs, info = [], None
    while True:
        info = timetable.next_dagrun_info(
            last_automated_data_interval=info.data_interval if info else None, restriction=restriction
        )
        if info.run_after >= end:
            return runs
        runs.append(info.run_after.astimezone(BERLIN))


def test_thirteen_runs_on_every_day_of_a_year_with_both_changes_of_the_clocks(bag: Any):
    runs = ticks(
        bag.dags["processing_time_health_check"],
        datetime(2026, 1, 1, tzinfo=BERLIN),
        datetime(2027, 1, 1, tzinfo=BERLIN),
    )
    days = Counter(run.date() for run in runs)
    assert len(days) == 365
    assert set(days.values()) == {13}
    assert {run.hour for run in runs} == set(EXPECTED["processing_time_health_check"])
    assert {(run.minute, run.second) for run in runs} == {(0, 0)}
    first_of_day = {run.date(): run.astimezone(UTC).hour for run in reversed(runs)}
    assert [first_of_day[date(2026, 3, day)] for day in (28, 29)] == [7, 6]
    assert [first_of_day[date(2026, 10, day)] for day in (24, 25)] == [6, 7]


def test_the_weekly_report_runs_on_every_monday_of_a_year_at_half_past_eight(bag: Any):
    dag = bag.dags["processing_time_weekly_report"]
    runs = ticks(dag, datetime(2026, 1, 1, tzinfo=BERLIN), datetime(2027, 1, 1, tzinfo=BERLIN))
    assert len(runs) == 52
    assert {(run.weekday(), run.hour, run.minute) for run in runs} == {(0, 8, 30)}
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "report": {"deliver"},
        "deliver": set(),
    }
    assert set(dag.params) == {"as_of", "dry_run", "company_id"}


@pytest.mark.parametrize("dag_id", EXPECTED)
def test_parsing_imports_nothing_heavy_beyond_airflow_itself(dag_id: str):
    program = (
        "import sys, runpy, airflow.sdk\n"
        "before = set(sys.modules)\n"
        f"runpy.run_path({str(PROJECT / 'dags' / dag_id)!r} + '.py')\n"
        "print('\\n'.join(set(sys.modules) - before))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "plugins")},
    )
    added = finished.stdout.split()
    assert "processing_time.settings" in added
    assert [name for name in added if name.startswith((*HEAVY, *OF_TASKS))] == []


def test_the_plugin_scanner_keeps_out_of_the_library():
    from airflow._shared.module_loading import find_path_from_directory

    found = {
        Path(path).relative_to(PROJECT / "plugins").as_posix()
        for path in find_path_from_directory(str(PROJECT / "plugins"), ".airflowignore", "glob")
    }
    assert {path for path in found if path.endswith(".py")} <= {"processing_time_page.py"}
    assert (PROJECT / "plugins" / "processing_time" / "settings.py").is_file()
