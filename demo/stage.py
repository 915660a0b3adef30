# SPDX-License-Identifier: MIT
"""The stage of a demo: its directory, its services, and the environment in which Airflow runs there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.application import Application
from demo.processes import ServiceError, free_port
from demo.services import MariaDB, Redis
from demo.slack import CHANNELS, ON_CALL_GROUP, StandInSlack
from demo.workplace import held

PROJECT = Path(__file__).resolve().parents[1]
#: Where everything of a demo is; another place lets two run at once.
DEMO = Path(os.environ.get("DEMO_DIRECTORY", PROJECT / ".demo")).resolve()
AIRFLOW_LOG = DEMO / "airflow.log"
ENVIRONMENT = DEMO / "environment.sh"
#: The caller's environment: a demo changes that of its own process.
_CALLERS = dict(os.environ)
_REAL_SLACK = "AIRFLOW_CONN_PROCESSING_TIME_SLACK"
_CHANNELS = "PROCESSING_TIME__SLACK__CHANNELS"


@dataclass(frozen=True)
class Services:
    """The running servers and the application on them. `slack` is None when the real Slack is told.

    `airflow_port` is where Airflow's own pages will be if they are asked for; messages link there.
    """

    mariadb: MariaDB
    redis: Redis
    slack: StandInSlack | None
    application: Application
    airflow_port: int

    def make_ready(self) -> None:
        """Start again what the scenario before has stopped, and empty Slack."""
        if self.redis.pid is None:
            self.redis.start()
        if self.slack is not None:
            self.slack.reset()


def only_one() -> AbstractContextManager[None]:
    """Hold the demo directory; raises Busy when another demo has it."""
    return held(DEMO, f"Another demo is running in {DEMO}: end it with Ctrl-C, then try again.")


@contextmanager
def services(*, keep: bool) -> Iterator[Services]:
    """Start the servers; end them afterwards, unless they are to be kept and nothing went wrong."""
    with ExitStack() as running:
        mariadb = running.enter_context(MariaDB(DEMO))
        redis = running.enter_context(Redis(DEMO))
        slack = None
        if _REAL_SLACK in _CALLERS:
            _require_channels()
        else:
            slack = running.enter_context(StandInSlack(DEMO))
        application = Application(mariadb, redis, DEMO / "application")
        yield Services(mariadb, redis, slack, application, free_port())
        if keep:
            running.pop_all()


def _require_channels() -> None:
    """Raise ServiceError when the real Slack is to be told and nobody said in which channels."""
    if not any(name.startswith((_CHANNELS, "PROCESSING_TIME_CONFIG")) for name in _CALLERS):
        raise ServiceError(
            f"{_REAL_SLACK} is set, so that Slack is told; say in which channels, by their ids: "
            f"{_CHANNELS}__CRITICAL=C…, and __HIGH, __MEDIUM, __INFO, __REPORTS. Without {_REAL_SLACK} the stand-in is used."
        )


def environment(stage: Services) -> dict[str, str]:
    """The whole environment for Airflow: the caller's without its Airflow, ours on top.

    Settings of the monitor (`PROCESSING_TIME__…`) that the caller has set and the demo does not need are kept, so
    that a threshold can be tried out.
    """
    kept = {name: value for name, value in _CALLERS.items() if not name.startswith("AIRFLOW")}
    return {**kept, **variables(stage)}


def variables(stage: Services) -> dict[str, str]:
    """What the demo sets."""
    slack = stage.slack
    connection = slack.connection() if slack else _CALLERS[_REAL_SLACK]
    channels: Mapping[str, str] = CHANNELS if slack else {}
    on_call = ON_CALL_GROUP if slack else None
    home = DEMO / "airflow"
    return {
        **stage.application.environment(connection, channels, on_call),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{stage.airflow_port}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        **({"PROCESSING_TIME__SLACK__WORKSPACE_URL": slack.page_url} if slack else {}),
        # A source that is down stays down here; nobody has to wait for it.
        "PROCESSING_TIME__SCHEDULE__RETRY_DELAY": "1s",
        "PYTHONPATH": os.pathsep.join((str(PROJECT / "plugins"), str(PROJECT))),
    }


def write_environment(stage: Services) -> None:
    """Leave the variables in a file, for `. .demo/environment.sh` in a shell."""
    lines = (f"export {name}={shlex.quote(value)}" for name, value in variables(stage).items())
    ENVIRONMENT.touch(mode=0o600)
    ENVIRONMENT.write_text("\n".join(lines) + "\n", encoding="utf-8")
