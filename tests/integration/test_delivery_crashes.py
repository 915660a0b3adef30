# SPDX-License-Identifier: MIT
"""A check that is killed before any of its steps, and started again: no alert is lost, nothing is said twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from demo.services import MariaDB
from demo.slack import StandInSlack
from processing_time import store_session
from processing_time.delivery import DeliveryError
from processing_time.model import AlertState
from processing_time.store import Store
from processing_time.store_session import StoreError, fetch
from tests.integration.crashing import RATE, START, Servers, child, run
from tests.integration.own_schema import emptied, fresh, login

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 60


class Stage:
    """Where checks are run: here, or in processes that may be killed."""

    def __init__(self, mariadb: Any, slack: StandInSlack) -> None:
        self.connect, self.slack = fresh(mariadb), slack
        host = getattr(mariadb, "host", "127.0.0.1")
        self.servers = Servers(mariadb.port, slack.base_url, slack.token, host)
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["tests.integration.crashing"])

    def here(self, hour: int, failing: int) -> None:
        """A check that is not disturbed."""
        client = WebClient(self.slack.token, base_url=self.slack.base_url, retry_handlers=[])
        with Store(self.connect) as store:
            run(store, client, hour, failing)

    def elsewhere(self, hour: int, failing: int, fatal: int | None = None) -> tuple[int, int]:
        """The same in a process of its own; its exit status and how many steps it took."""
        counter = self.processes.Value("i", 0)
        process = self.processes.Process(target=child, args=(self.servers, hour, failing, fatal, counter))
        process.start()
        process.join(PATIENCE)
        assert process.exitcode is not None, "it hangs"
        return process.exitcode, counter.value

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            return fetch(cursor, sql)

    def said(self) -> list[str]:
        """What each message is, in order, by the key in its metadata; roots show their first line."""
        return [m["metadata"]["event_payload"]["key"].split("/")[3] for m in self.slack.messages()]

    def root(self) -> str:
        return str(self.slack.messages()[0]["text"].splitlines()[0])


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """The server that processes are forked from has to find us."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), str(PROJECT / "plugins"), before or ""])
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def stage(mariadb: Any, slack: StandInSlack) -> Stage:
    return Stage(mariadb, slack)


# What happened before, the check that is killed, and what the thread must hold afterwards.
OPENING = ((), (0, 18), ["opened", "diagnostics"], "🚨 CRITICAL")
LEVEL_3 = (((0, 18), (1, 18)), (2, 18), ["opened", "diagnostics", "escalated"], "🚨 CRITICAL")
RESOLVING = (((0, 18), (1, 0)), (2, 0), ["opened", "diagnostics", "resolved"], "✅ Resolved")


@pytest.mark.parametrize(
    ("before", "killed", "said", "root"),
    [OPENING, LEVEL_3, RESOLVING],
    ids=["opening", "level 3", "resolving"],
)
def test_killed_before_each_step_and_started_again(
    stage: Stage,
    before: tuple[tuple[int, int], ...],
    killed: tuple[int, int],
    said: list[str],
    root: str,
) -> None:
    fatal = 0
    while True:
        fatal += 1
        if fatal > 1:
            emptied(stage.connect)
        stage.slack.reset()
        for hour, failing in before:
            stage.here(hour, failing)
        status, steps = stage.elsewhere(*killed, fatal)
        if status == 0:
            assert steps == fatal - 1, "every step has been tried"
            break
        assert status == -signal.SIGKILL
        stage.here(*killed)
        where = f"killed before step {fatal}"
        assert stage.said() == said, where
        assert stage.root().startswith(root), where
        assert len(stage.rows("SELECT id FROM alerts")) == 1, where
        assert stage.rows("SELECT id FROM notifications WHERE delivered_at IS NULL") == [], where
        assert stage.rows("SELECT as_of FROM checks WHERE finished_at IS NULL") == [], where
    assert fatal > 30, "too few steps to be true"


def test_the_same_check_cleared_again_says_nothing(stage: Stage) -> None:
    for hour, failing in [(0, 18), (1, 18), (2, 18), (3, 0), (4, 0)]:
        stage.here(hour, failing)
        before = stage.slack.messages(), stage.rows("SELECT * FROM alerts")
        stage.here(hour, failing)
        assert (stage.slack.messages(), stage.rows("SELECT * FROM alerts")) == before
    assert stage.said() == ["opened", "diagnostics", "escalated", "resolved"]


def test_two_runs_at_once_say_everything_once(stage: Stage) -> None:
    stage.here(0, 0)
    counter = stage.processes.Value("i", 0)
    both = [
        stage.processes.Process(target=child, args=(stage.servers, 1, 18, None, counter)) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(PATIENCE)
    assert [process.exitcode for process in both] == [0, 0]
    assert Counter(stage.said()) == {"opened": 1, "diagnostics": 1}
    assert len(stage.rows("SELECT id FROM alerts")) == 1


def test_two_different_checks_at_once_keep_the_thread_whole(stage: Stage) -> None:
    stage.here(0, 18)
    counter = stage.processes.Value("i", 0)
    both = [
        stage.processes.Process(target=child, args=(stage.servers, hour, 18, None, counter))
        for hour in (1, 2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(PATIENCE)
    assert [process.exitcode for process in both] == [0, 0]
    counts = Counter(stage.said())
    assert (counts["opened"], counts["diagnostics"]) == (1, 1)
    assert counts["escalated"] <= 1


def test_the_store_dies_after_slack_took_the_message(
    tmp_path: Path, slack: StandInSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_session, "ATTEMPTS", 1)
    with MariaDB(tmp_path) as server:
        fresh(server)

        def connect() -> Any:
            return login(server)

        with closing(server.root()) as connection, closing(connection.cursor()) as cursor:
            # The test server is quick, not safe: a store must keep what it has committed.
            cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")

        class Deadly(WebClient):
            def chat_postMessage(self, **arguments: Any) -> Any:  # noqa: N802
                answer = super().chat_postMessage(**arguments)
                server.kill()
                return answer

        with pytest.raises(StoreError, match="does not answer"), Store(connect) as store:
            run(store, Deadly(slack.token, base_url=slack.base_url, retry_handlers=[]), 0, 18)
        assert len(slack.messages()) == 1
        server.start()
        with Store(connect) as store:
            run(store, WebClient(slack.token, base_url=slack.base_url, retry_handlers=[]), 0, 18)
            (alert,) = store.alerts(START, START.replace(hour=23))
        assert [m["metadata"]["event_payload"]["key"].split("/")[3] for m in slack.messages()] == [
            "opened",
            "diagnostics",
        ]
        assert alert.slack_ts == slack.messages()[0]["ts"]


def test_slack_is_down_for_a_whole_incident(stage: Stage) -> None:
    """Everything is still said, in order, when it is back; the state has moved on meanwhile."""
    stage.slack.stop()
    for hour, failing in [(0, 18), (1, 18), (2, 18), (3, 0), (4, 0)]:
        with pytest.raises(DeliveryError, match="Slack cannot be reached"):
            stage.here(hour, failing)
    with Store(stage.connect) as store:
        (alert,) = store.alerts(START, START.replace(hour=23))
    assert (alert.rule, alert.state, alert.level) == (RATE, AlertState.RESOLVED, 3)
    stage.slack.start()
    stage.here(5, 0)
    assert stage.said() == ["opened", "diagnostics", "escalated", "resolved"]
    assert stage.root().startswith("✅ Resolved")


def test_the_message_is_there_as_soon_as_somebody_can_see_the_alert(stage: Stage) -> None:
    """Between the commit and Slack a reader of the store sees the alert and the message owed, never one alone."""
    seen: list[tuple[int, int]] = []

    class Looking(WebClient):
        def api_call(self, *arguments: Any, **more: Any) -> Any:
            alerts, owed = (
                len(stage.rows(f"SELECT id FROM {table}")) for table in ("alerts", "notifications")
            )
            seen.append((alerts, owed))
            return super().api_call(*arguments, **more)

    client: Callable[..., WebClient] = Looking
    with Store(stage.connect) as store:
        run(store, client(stage.slack.token, base_url=stage.slack.base_url, retry_handlers=[]), 0, 18)
    assert seen
    assert set(seen) == {(1, 2)}
