# SPDX-License-Identifier: MIT
"""The monitor that breaks says so: a task that failed for good, and a run that did not finish in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from demo.application import Application
from demo.slack import CHANNELS, StandInSlack
from demo.traffic import Plan, generate
from processing_time.operators.broken import tell_of_broken_task, tell_of_late_check

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
Watch = Callable[[Application], None]


@pytest.fixture
def watched(application: Application, watch: Watch) -> Application:
    """An application with a day of data, watched."""
    application.build(generate(Plan(AS_OF, days=1)))
    watch(application)
    return application


@pytest.mark.usefixtures("watched")
def test_a_store_that_is_gone_is_told_past_the_store(
    runs: Any, slack: StandInSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_STORE", "mysql://pt_store:t0p-secret@127.0.0.1:9/nothing"
    )
    run = runs.check(AS_OF)
    assert run["run"] == "failed"
    told = [m["text"] for m in slack.messages(CHANNELS["high"])]
    assert told
    assert all(t.startswith(":warning: Monitoring is broken: task ") for t in told)
    assert "t0p-secret" not in str(told)


def context(**more: Any) -> Any:
    instance = SimpleNamespace(
        task_id="evaluate", dag_id="processing_time_health_check", log_url="http://a/log"
    )
    return {
        "ti": instance,
        "params": {},
        "dag": SimpleNamespace(dag_id="processing_time_health_check"),
        **more,
    }


@pytest.mark.usefixtures("watched")
def test_a_broken_task_tells_the_kind_of_error_and_not_its_text(slack: StandInSlack) -> None:
    tell_of_broken_task(context(exception=RuntimeError("Anna Schmidt, +49 151 1234567")))
    (message,) = slack.messages(CHANNELS["high"])
    assert message["text"] == (
        ":warning: Monitoring is broken: task evaluate of processing_time_health_check failed (RuntimeError)."
        " Until it works again nobody watches Processing Time. <http://a/log|Open the log>"
    )


@pytest.mark.usefixtures("watched")
def test_a_dry_run_that_breaks_is_silent(slack: StandInSlack) -> None:
    tell_of_broken_task(context(params={"dry_run": True}))
    assert slack.messages() == []


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(("reason", "told"), [("timed_out", 1), ("task_failure", 0), (None, 0)])
def test_a_run_that_did_not_finish_in_time(reason: str | None, told: int, slack: StandInSlack) -> None:
    tell_of_late_check(context(reason=reason))
    assert len(slack.messages()) == told


@pytest.mark.usefixtures("watched")
def test_slack_that_is_gone_breaks_nothing_more(
    slack: StandInSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.stop()
    tell_of_broken_task(context(exception=OSError()))
    assert "Slack could not be told" in caplog.text
