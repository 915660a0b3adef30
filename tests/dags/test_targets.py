# SPDX-License-Identifier: MIT
"""Several applications: each target has DAGs, connections and a queue of its own, and nothing of another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).resolve().parents[2] / "dags"
KINDS = ("health_check", "incident", "monthly_rollup", "weekly_report")
TARGETS = {
    "berlin": {},
    "hamburg": {
        "timezone": "Europe/London",
        "schedule": {"queue": "hamburg-web", "retries": 4},
        "auto_recovery": {"missing_phases": 5},
        "connections": {"mysql": "hamburg_reader"},
    },
}


@pytest.fixture
def bag(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The DAG folder with two targets."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("PROCESSING_TIME__TARGETS", json.dumps(TARGETS))
    return DagBag(DAGS)


def test_each_target_has_all_dags_and_there_are_no_others(bag: Any):
    assert bag.import_errors == {}
    assert set(bag.dags) == {f"processing_time_{kind}__{name}" for kind in KINDS for name in TARGETS}
    for dag_id, dag in bag.dags.items():
        target = dag_id.partition("__")[2]
        assert f"target:{target}" in dag.tags
        assert {task.target for task in dag.tasks} == {target}, dag_id


def test_a_target_has_its_own_settings(bag: Any):
    berlin, hamburg = (bag.dags[f"processing_time_health_check__{name}"] for name in ("berlin", "hamburg"))
    assert (str(berlin.timezone), str(hamburg.timezone)) == ("Europe/Berlin", "Europe/London")
    assert {task.queue for task in berlin.tasks} == {"default"}
    assert {task.queue for task in hamburg.tasks} == {"hamburg-web"}
    assert (berlin.get_task("evaluate").retries, hamburg.get_task("evaluate").retries) == (2, 4)
    assert set(hamburg.task_ids) - set(berlin.task_ids) == {"recover"}


def test_the_tasks_of_a_target_are_those_of_one_application(bag: Any, airflow_db: None, monkeypatch: Any):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.delenv("PROCESSING_TIME__TARGETS")
    alone = DagBag(DAGS)
    for kind in KINDS:
        one, of_target = alone.dags[f"processing_time_{kind}"], bag.dags[f"processing_time_{kind}__berlin"]
        assert one.task_ids == of_target.task_ids
        assert {t.task_id: t.downstream_task_ids for t in one.tasks} == {
            t.task_id: t.downstream_task_ids for t in of_target.tasks
        }


def test_a_task_makes_only_the_dag_that_it_runs(airflow_db: None, monkeypatch: pytest.MonkeyPatch):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("PROCESSING_TIME__TARGETS", json.dumps(TARGETS))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "processing_time_health_check__hamburg")
    bag = DagBag(DAGS / "processing_time_health_check.py")
    assert list(bag.dags) == ["processing_time_health_check__hamburg"]


def test_a_fault_of_one_target_is_said_with_its_name(airflow_db: None, monkeypatch: pytest.MonkeyPatch):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("PROCESSING_TIME__TARGETS", json.dumps({"berlin": {"timezone": "Europe/Berln"}}))
    bag = DagBag(DAGS / "processing_time_health_check.py")
    (error,) = bag.import_errors.values()
    assert (
        "targets.berlin: timezone = 'Europe/Berln' is not a known time zone: did you mean Europe/Berlin?"
        in error
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_faulty_target_takes_no_other_down_and_keeps_its_dags(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch, kind: str
):
    """An error of the file would end the DAGs of all; without a DAG of its own nobody would hear of the fault."""
    from airflow.dag_processing.dagbag import DagBag

    faulty = {**TARGETS, "hamburg": {"timezone": "Europe/Berln", "schedule": {"queue": "hamburg-web"}}}
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", json.dumps(faulty))
    bag = DagBag(DAGS / f"processing_time_{kind}.py")
    assert bag.import_errors == {}
    assert set(bag.dags) == {f"processing_time_{kind}__{name}" for name in faulty}
    hamburg = bag.dags[f"processing_time_{kind}__hamburg"]
    assert {(task.target, task.queue) for task in hamburg.tasks} == {("hamburg", "hamburg-web")}
