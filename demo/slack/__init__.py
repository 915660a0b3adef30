# SPDX-License-Identifier: MIT
"""A stand-in Slack: the Web API methods that the monitor uses, as strict as the real ones, and a page to look at.

`StandInSlack` runs it as a process of its own and speaks to its control interface.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo.processes import ManagedProcess, free_port
from demo.slack.workspace import CHANNELS, ON_CALL_GROUP, STRANGE_CHANNELS, TOKEN, Message

__all__ = ["CHANNELS", "ON_CALL_GROUP", "STRANGE_CHANNELS", "TOKEN", "StandInSlack"]

_PROJECT = Path(__file__).resolve().parents[2]
# A proxy from the environment is not for 127.0.0.1.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StandInSlack:
    """The stand-in Slack as a process, its state in `directory`/slack.json. A restart keeps the messages."""

    def __init__(self, directory: Path) -> None:
        self._directory = Path(directory).resolve()
        self._process = ManagedProcess(self._directory, "slack")
        self.port = 0
        self.token = TOKEN
        self.channels = dict(CHANNELS)

    @property
    def pid(self) -> int | None:
        """The server's pid while it runs, else None."""
        return self._process.pid

    @property
    def base_url(self) -> str:
        """What goes into the connection's `base_url`; ends with /api/."""
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def page_url(self) -> str:
        """The page that shows the messages; takes `?channel=C…&thread=ts`."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> Self:
        """Start the server, on the port of the last time if it had one, and return when it answers."""
        self.port = self.port or free_port()
        state = self._directory / "slack.json"
        self._process.start(
            [sys.executable, "-m", "demo.slack", "--port", str(self.port), "--state", str(state)],
            ready=self._answers,
            environment={**os.environ, "PYTHONPATH": str(_PROJECT)},
        )
        return self

    def stop(self) -> None:
        """End the server; from then on connections are refused."""
        self._process.stop(patience=2.0)

    def kill(self) -> None:
        """SIGKILL the server, as a crash would."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def connection(self) -> str:
        """The Airflow connection `processing_time_slack`, as JSON for the environment."""
        return json.dumps(
            {"conn_type": "slack", "password": self.token, "extra": {"base_url": self.base_url}}
        )

    def reset(self) -> None:
        """Forget messages, faults, calls, and changes of channels, users and tokens."""
        self._control("reset", {})

    def update(self, **state: Any) -> None:
        """Change the workspace: `channels`, `users`, `tokens` (mappings, merged; null removes), `enforce_rate`."""
        self._control("state", state)

    def set_clock(self, at: float | None) -> None:
        """Date messages from `at` (seconds since 1970) on instead of now; None goes back to the real clock."""
        self.update(clock=at)

    def fail(self, method: str, kind: str, *, times: int = 1, **more: Any) -> None:
        """Queue a fault, such as `fail("chat.postMessage", "429", retry_after=2)`; kinds in `demo.slack.server`."""
        self._control("faults", {"method": method, "kind": kind, "times": times, **more})

    def react(self, channel: str, ts: str, name: str = "eyes", user: str = "U0ANNA00001") -> None:
        """Add a reaction to a message as `user`."""
        self._control("reactions", {"channel": channel, "ts": ts, "name": name, "user": user})

    def messages(self, channel: str | None = None) -> list[Message]:
        """All messages (of one channel) with metadata, replies included, oldest first."""
        messages: list[Message] = self._control("messages")
        return [message for message in messages if channel in (None, message["channel"])]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The root message `ts` and its replies, oldest first."""
        return [m for m in self.messages(channel) if m["ts"] == ts or m.get("thread_ts") == ts]

    def calls(self, method: str | None = None) -> list[dict[str, Any]]:
        """The calls made since start or reset: `method`, `arguments`, `answer`, `fault`, `at`."""
        calls: list[dict[str, Any]] = self._control("calls")
        return [call for call in calls if method in (None, call["method"])]

    def _control(self, what: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_control/{what}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with _DIRECT.open(request, timeout=10) as response:
            return json.load(response)

    def _answers(self) -> bool:
        try:
            self._control("calls")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True
