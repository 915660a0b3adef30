# SPDX-License-Identifier: MIT
"""Level 3 starts one incident run an alert, and only where there is an incident DAG."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from processing_time.operators.request_toggle import RequestToggleOperator

ASKING = {"toggles": [{"alert_id": 41, "rule": "phase_creation_success_rate", "company_id": 0}], "open": []}
INCIDENT = "PROCESSING_TIME__ESCALATION__INCIDENT_DAG"


def context(escalated: Any) -> Any:
    return {"ti": SimpleNamespace(xcom_pull=lambda task_ids: {"escalate": escalated}[task_ids])}


def test_it_triggers_a_run_that_waits_for_approval_named_after_the_alert() -> None:
    with pytest.raises(DagRunTriggerException) as triggered:
        RequestToggleOperator(task_id="request_toggle").execute(context(ASKING))
    asked = triggered.value
    assert (asked.trigger_dag_id, asked.dag_run_id) == (
        "processing_time_incident",
        "alert-41-disable-feature",
    )
    assert asked.conf == {"action": "disable_feature", "dry_run": False, "alert_id": 41}
    assert asked.skip_when_already_exists is True


def test_the_runs_of_two_targets_differ_where_they_share_an_incident_dag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alerts are numbered in each store for itself, and a run that exists already is skipped."""
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", '{"berlin": {}, "hamburg": {}}')
    monkeypatch.setenv(INCIDENT, "ours")
    asked = []
    for target in ("berlin", "hamburg"):
        with pytest.raises(DagRunTriggerException) as triggered:
            RequestToggleOperator(task_id="request_toggle", target=target).execute(context(ASKING))
        asked.append((triggered.value.trigger_dag_id, triggered.value.dag_run_id))
    assert asked == [
        ("ours", "alert-41-disable-feature__berlin"),
        ("ours", "alert-41-disable-feature__hamburg"),
    ]


def test_the_run_in_a_targets_own_incident_dag_keeps_the_name_that_it_may_have_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An alert asks as long as it is open: under another name its run would start a second time after an update."""
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", '{"berlin": {}}')
    with pytest.raises(DagRunTriggerException) as triggered:
        RequestToggleOperator(task_id="request_toggle", target="berlin").execute(context(ASKING))
    assert (triggered.value.trigger_dag_id, triggered.value.dag_run_id) == (
        "processing_time_incident__berlin",
        "alert-41-disable-feature",
    )


@pytest.mark.parametrize(
    ("escalated", "incident", "why"),
    [
        ({"toggles": [], "open": []}, "processing_time_incident", "no alert has reached level 3"),
        (None, "processing_time_incident", "no alert has reached level 3"),
        (ASKING, None, "escalation.incident_dag is not set"),
    ],
    ids=["nothing asks", "nothing was decided", "no incident DAG"],
)
def test_it_skips(escalated: Any, incident: str | None, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INCIDENT, incident or "null")
    with pytest.raises(AirflowSkipException, match=why):
        RequestToggleOperator(task_id="request_toggle").execute(context(escalated))
