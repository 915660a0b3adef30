# SPDX-License-Identifier: MIT
"""The health check of an application whose hosts each write a log: a task in each host's queue, and one that waits for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HOSTS = {"web1": {"queue": "web1"}, "web-2": {"queue": "second", "logs": ["/srv/web2/*.log"]}}


@pytest.fixture
def dag(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The health check with two hosts, all other tasks in a queue of the settings."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__LOG_HOSTS", json.dumps(HOSTS))
    monkeypatch.setenv("PROCESSING_TIME__SCHEDULE__QUEUE", "monitor")
    bag = DagBag(PROJECT / "dags")
    assert bag.import_errors == {}
    return bag.dags["processing_time_health_check"]


def test_each_host_has_a_task_in_its_queue(dag: Any) -> None:
    tasks = {task.task_id: (task.downstream_task_ids, task.queue) for task in dag.tasks}
    assert tasks == {
        "read_log.web1": ({"collect_log"}, "web1"),
        "read_log.web-2": ({"collect_log"}, "second"),
        "collect_log": ({"evaluate"}, "monitor"),
        "collect_database": ({"evaluate", "collect_log"}, "monitor"),
        "collect_cache": ({"evaluate", "collect_log"}, "monitor"),
        "evaluate": ({"escalate"}, "monitor"),
        "escalate": ({"request_toggle", "verdict"}, "monitor"),
        "request_toggle": (set(), "monitor"),
        "verdict": (set(), "monitor"),
    }


def test_the_check_waits_for_no_host_by_the_graph(dag: Any) -> None:
    assert dag.get_task("collect_log").trigger_rule == "one_done"
    assert dag.get_task("evaluate").upstream_task_ids == {"collect_database", "collect_log", "collect_cache"}


def test_its_tasks_are_bounded_and_retried(dag: Any) -> None:
    for task_id in ("read_log.web1", "read_log.web-2", "collect_log"):
        task, other = dag.get_task(task_id), dag.get_task("collect_database")
        assert (task.retries, task.execution_timeout) == (other.retries, other.execution_timeout)
        # A host that is lost is told by the check, not as a monitor that is broken.
        assert bool(task.on_failure_callback) is (task_id == "collect_log")


def test_it_survives_serialisation_with_its_queues(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    copy = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert {t.task_id: t.queue for t in copy.tasks} == {t.task_id: t.queue for t in dag.tasks}
    assert copy.get_task("collect_log").trigger_rule == "one_done"
