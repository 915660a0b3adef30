# SPDX-License-Identifier: MIT
"""What whole checks need around them: the stand-in application and the stand-in Slack, both real processes.

The servers below them are in the conftest above.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import ON_CALL_GROUP, StandInSlack
from processing_time.store_session import fetch
from tests.integration.incident_runs import INCIDENT, Audit, Incidents, People

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def slack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInSlack]:
    """The stand-in Slack for the whole run; tests ask for `slack`."""
    with StandInSlack(tmp_path_factory.mktemp("slack")) as server:
        yield server


@pytest.fixture
def slack(slack_server: StandInSlack) -> StandInSlack:
    """The stand-in Slack without messages and faults, running even if the test before ended it."""
    if slack_server.pid is None:
        slack_server.start()
    slack_server.reset()
    return slack_server


@pytest.fixture
def application(mariadb: MariaDB, redis_server: Redis, tmp_path: Path) -> Application:
    """The stand-in application, with files of this test's own; its `build` makes both schemas anew."""
    return Application(mariadb, redis_server, tmp_path / "app")


@pytest.fixture
def watch(slack: StandInSlack, monkeypatch: pytest.MonkeyPatch) -> Callable[[Application], None]:
    """Point Airflow's connections and our settings at an application that has been built, and at the stand-in Slack."""

    def point(application: Application) -> None:
        variables = application.environment(slack.connection(), slack.channels, ON_CALL_GROUP)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return point


class Runs:
    """The health check in a real Airflow, in this process."""

    def __init__(self, dag: Any) -> None:
        self._dag = dag

    def check(self, as_of: datetime | str, **conf: Any) -> dict[str, str]:
        """Run it for an instant; the states of its tasks by name, and of the run under ``run``."""
        at = as_of if isinstance(as_of, str) else as_of.isoformat()
        # Airflow's `dag.test` keeps what one run was given as the default of the next: say everything each time.
        run = self._dag.test(run_conf={"as_of": at, "dry_run": False, **conf})
        return {i.task_id: str(i.state) for i in run.get_task_instances()} | {"run": str(run.state)}


@pytest.fixture(scope="session")
def bag(airflow_db: None) -> Any:
    """Our DAGs, loaded once; a task that fails is tried again after a second."""
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROCESSING_TIME__SCHEDULE__RETRY_DELAY", "1s")
        loaded = DagBag(PROJECT / "dags")
    assert loaded.import_errors == {}
    return loaded


@pytest.fixture
def runs(bag: Any) -> Runs:
    """Runs of the health check."""
    return Runs(bag.dags["processing_time_health_check"])


@pytest.fixture(scope="session")
def _incident_dag(bag: Any) -> Any:
    # The form is sent through the API, which knows what is in Airflow's database.
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags[INCIDENT]


@pytest.fixture
def incidents(_incident_dag: Any) -> Incidents:
    """Runs of the incident DAG."""
    return Incidents(_incident_dag)


@pytest.fixture(scope="session")
def people(_incident_dag: Any) -> People:
    """Those who use Airflow."""
    return People()


@pytest.fixture
def audit(application: Application, mariadb: MariaDB) -> Audit:
    """The rows of `actions`, oldest first."""

    def read() -> list[dict[str, Any]]:
        with closing(mariadb.root(application.store)) as connection, closing(connection.cursor()) as cursor:
            found = fetch(cursor, "SELECT * FROM actions ORDER BY id")
        return [{**row, "detail": json.loads(row["detail"])} for row in found]

    return read
