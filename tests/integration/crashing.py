# SPDX-License-Identifier: MIT
"""A check's escalation in a process of its own that kills itself before a chosen step.

A step is a statement to the store, or the moment before or after a call of Slack. Nothing in the library knows of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from slack_sdk import WebClient

from demo.slack import CHANNELS
from processing_time.alerting import Check, Outcome, escalate
from processing_time.evaluation import judge
from processing_time.model import Sample
from processing_time.settings import Settings, load
from processing_time.store import Store
from processing_time.summary import summarise
from processing_time.timeline import Timeline
from tests.integration.own_schema import login

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
RATE = "phase_creation_success_rate"


@dataclass(frozen=True)
class Servers:
    """Where the store and Slack are, in a form that another process can be given."""

    port: int
    slack_url: str
    token: str
    host: str = "127.0.0.1"


class Steps:
    """Counts steps, and ends the process before one of them as the kernel would: no clean-up of any kind."""

    def __init__(self, fatal: int | None, counter: Any) -> None:
        self._fatal, self._counter = fatal, counter

    def step(self) -> None:
        self._counter.value += 1
        if self._counter.value == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def settings() -> Settings:
    """The shipped settings with the channels of the stand-in Slack."""
    loaded = load()
    channels = loaded.slack.channels.model_copy(update=CHANNELS)
    return loaded.model_copy(update={"slack": loaded.slack.model_copy(update={"channels": channels})})


def check(hour: int, failing: int, settings: Settings) -> Check:
    """The check `hour` hours after the first: so many of 60 appointments have no phases."""
    as_of = START + timedelta(hours=hour)
    timeline = Timeline(as_of, settings.zone, settings.application_zone, as_of - timedelta(hours=1))
    good = 60 - failing
    sample = Sample(RATE, timeline.windows["today"], 0, 100 * good / 60, good, 60)
    verdicts = [judge(sample, settings)]
    facts = {"mysql": {"today": {"eligible": 60, "with_phases": good}}}
    return Check(as_of, verdicts, summarise(verdicts, facts, {}, settings, timeline))


def run(
    store: Store, client: WebClient, hour: int, failing: int, *, clock: Callable[[], datetime] | None = None
) -> Outcome:
    """A whole check: its samples, then its escalation."""
    loaded = settings()
    made = check(hour, failing, loaded)
    store.save_check(
        as_of=made.as_of,
        dag_run_id=f"run-{hour}",
        verdicts=made.verdicts,
        state=made.summary.state,
        flags=None,
        facts={},
        sources={"mysql"},
    )
    return escalate(
        store, lambda: client, loaded, made, clock=clock or (lambda: datetime.now(UTC)), sleep=lambda _: None
    )


def child(servers: Servers, hour: int, failing: int, fatal: int | None, counter: Any) -> None:
    """The process: the check, with every step counted."""
    steps = Steps(fatal, counter)

    class CountingClient(WebClient):
        def api_call(self, *arguments: Any, **more: Any) -> Any:
            steps.step()
            try:
                return super().api_call(*arguments, **more)
            finally:
                steps.step()

    def connect() -> Any:
        return _Counting(login(servers), steps)

    client = CountingClient(servers.token, base_url=servers.slack_url, retry_handlers=[])
    with Store(connect) as store:
        run(store, client, hour, failing)


class _Counting:
    """A connection that counts the statements of its cursors."""

    def __init__(self, connection: Any, steps: Steps) -> None:
        self._connection, self._steps = connection, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        cursor = self._connection.cursor()
        query = cursor._query

        def counting(statement: Any) -> Any:
            self._steps.step()
            return query(statement)

        cursor._query = counting
        return cursor
