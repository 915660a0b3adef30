# SPDX-License-Identifier: MIT
"""The monitor that breaks says so: a task that failed for good, and a run that did not finish in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from demo.application import Application
from demo.slack import CHANNELS, StandInSlack
from demo.traffic import Plan, generate
from processing_time.operators.broken import tell_of_broken_task, tell_of_late_check
from processing_time.operators.health_check import beat

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


# --- the dead man's switch ----------------------------------------------------------------------------------------


class Switch:
    """A dead man's switch on loopback that notes who called."""

    def __init__(self, status: int) -> None:
        calls: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                calls.append(self.path)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.calls = calls
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ping/secret-token"


@pytest.fixture
def switch(request: pytest.FixtureRequest) -> Iterator[Switch]:
    """A switch that answers with the status of the parameter, 200 without one."""
    made = Switch(getattr(request, "param", 200))
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_each_finished_check_beats_once_and_a_dry_one_does_not(
    runs: Any, watched: Application, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__HEARTBEAT_URL", switch.url)
    runs.check(AS_OF)
    assert switch.calls == ["/ping/secret-token"]
    runs.check(AS_OF, dry_run=True)
    assert len(switch.calls) == 1
    watched.remove_logs()
    assert runs.check(AS_OF)["collect_log"] == "success"
    assert len(switch.calls) == 2, "a check that found something bad has finished as well"


def test_a_check_that_broke_does_not_beat(
    runs: Any, watched: Application, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__HEARTBEAT_URL", switch.url)
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_SLACK", "slack://:@/")
    monkeypatch.setenv("PROCESSING_TIME__DAILY_CHECKLIST", "false")
    watched.remove_logs()
    assert runs.check(AS_OF)["escalate"] == "failed"
    assert switch.calls == []


@pytest.mark.parametrize("switch", [500], indirect=True)
def test_a_switch_that_refuses_spoils_nothing_and_its_address_stays_secret(
    switch: Switch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        beat(switch.url)
    assert switch.calls
    assert "The heartbeat was not taken (HTTPStatusError)" in caplog.text
    assert "secret-token" not in caplog.text
