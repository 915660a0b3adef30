# SPDX-License-Identifier: MIT
"""The operator: its arguments, its connections, and what a task says when they do not work."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from demo.slack import CHANNELS, StandInSlack
from processing_time.model import State
from processing_time.store import Store
from tests.integration.crashing import RATE, check, settings
from tests.integration.own_schema import LOGIN, SCHEMA, fresh

RUN = "http://airflow.example/dags/processing_time_health_check/runs/manual__1"


@pytest.fixture
def connected(mariadb: Any, slack: StandInSlack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The connections of an installation, in the environment; the store behind them."""
    store = Store(fresh(mariadb))
    host = getattr(mariadb, "host", "127.0.0.1")
    uri = f"mysql://{LOGIN['user']}:{LOGIN['password']}@{host}:{mariadb.port}/{SCHEMA}?charset=utf8mb4"
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_STORE", uri)
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_SLACK", slack.connection())
    for route, channel in CHANNELS.items():
        monkeypatch.setenv(f"PROCESSING_TIME__SLACK__CHANNELS__{route.upper()}", channel)
    yield store
    store.close()


def operator(**more: Any) -> Any:
    from processing_time.operators.slack_escalation import SlackEscalationOperator

    return SlackEscalationOperator(task_id="escalate", **more)


def context(hour: int = 0, failing: int = 18, **params: Any) -> Any:
    """What Airflow would give to the task of a check."""
    made = check(hour, failing, settings())
    evaluated = {"verdicts": [v.to_json() for v in made.verdicts], "summary": made.summary.to_json()}
    instance = SimpleNamespace(
        xcom_pull=lambda *, task_ids: evaluated if task_ids == "evaluate" else None,
        log_url=f"{RUN}/tasks/escalate?try_number=1",
    )
    return {
        "ti": instance,
        "dag_run": SimpleNamespace(run_after=datetime(2026, 11, 20, tzinfo=UTC)),
        "params": {"as_of": made.as_of.isoformat(), **params},
    }


def test_every_argument_is_a_keyword_kept_as_it_is_and_a_template() -> None:
    given = {
        "target": "t",
        "evaluate_task_id": "e",
        "store_conn_id": "a",
        "slack_conn_id": "b",
        "mysql_conn_id": "c",
    }
    made = operator(**given)
    assert {name: getattr(made, name) for name in given} == given
    assert set(type(made).template_fields) == set(given)
    kinds = {p.kind for n, p in inspect.signature(type(made).__init__).parameters.items() if n in given}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert "connection" not in vars(made), "nothing is opened before the task runs"


def test_a_task_tells_slack_and_gives_what_follows(connected: Store, slack: StandInSlack) -> None:
    outcome = operator().execute(context())
    assert (
        json.loads(json.dumps(outcome))
        == outcome
        == {
            "toggles": [],
            "open": [{"rule": RATE, "severity": "critical", "seen": True}],
        }
    )
    first, diagnostics = slack.messages()
    assert diagnostics["thread_ts"] == first["ts"]
    (buttons,) = [b["elements"] for b in first["blocks"] if b["type"] == "actions"]
    assert {b["text"]["text"]: b["url"] for b in buttons}["Airflow run"] == RUN


def test_a_dry_run_changes_nothing(connected: Store, slack: StandInSlack) -> None:
    task = operator()
    assert task.execute(context(dry_run=True)) == {"toggles": [], "open": []}
    assert slack.calls() == []
    at = check(0, 18, settings()).as_of
    assert connected.standing(at, settings()).open_alerts == []
    assert connected.newest_finished() is None


@pytest.mark.parametrize(
    ("connection", "sentence"),
    [
        (None, "the connection processing_time_slack cannot be used"),
        ('{"conn_type": "slack"}', "the connection processing_time_slack cannot be used"),
        ("{not json", "the connection processing_time_slack cannot be used"),
        (
            '{"conn_type": "slack", "password": "xoxb-secret-1234", "extra": {"base_url": "http://127.0.0.1:9/api/"}}',
            "Slack cannot be reached",
        ),
    ],
    ids=["missing", "without a token", "broken", "unreachable"],
)
def test_a_slack_that_cannot_be_used_keeps_the_alert(
    connected: Store,
    slack: StandInSlack,
    monkeypatch: pytest.MonkeyPatch,
    connection: str | None,
    sentence: str,
) -> None:
    from airflow.sdk.exceptions import AirflowException

    name = "AIRFLOW_CONN_PROCESSING_TIME_SLACK"
    if connection is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, connection)
    made = check(0, 18, settings())
    connected.save_check(
        as_of=made.as_of,
        dag_run_id="r",
        verdicts=made.verdicts,
        state=State.CRITICAL,
        flags=None,
        facts={},
        sources=(),
    )
    with pytest.raises(AirflowException, match=sentence) as caught:
        operator().execute(context())
    assert "xoxb" not in str(caught.value).replace("xoxb-…", "")
    (alert,) = connected.standing(made.as_of, settings()).open_alerts
    assert alert.slack_ts is None
    monkeypatch.setenv(name, slack.connection())
    operator().execute(context())
    assert len(slack.messages()) == 2


def test_a_store_that_does_not_answer_is_one_sentence(
    connected: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowException

    from processing_time import store_session

    monkeypatch.setattr(store_session, "ATTEMPTS", 1)
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_STORE", "mysql://store:secret-1234@127.0.0.1:1/x")
    with pytest.raises(
        AirflowException, match="the connection processing_time_store does not work"
    ) as caught:
        operator().execute(context())
    assert "secret-1234" not in str(caught.value)
