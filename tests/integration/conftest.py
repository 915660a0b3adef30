# SPDX-License-Identifier: MIT
"""The stand-in Slack for whole checks; the servers are in the conftest above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def slack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The stand-in Slack as a process, for the whole run; tests ask for `slack`."""
    from demo.slack import StandInSlack

    with StandInSlack(tmp_path_factory.mktemp("slack")) as server:
        yield server


@pytest.fixture
def slack(slack_server: Any) -> Any:
    """The stand-in Slack without messages and faults, running even if the test before ended it."""
    if slack_server.pid is None:
        slack_server.start()
    slack_server.reset()
    return slack_server
