# SPDX-License-Identifier: MIT
"""An Airflow with workers beside the stand-in application and the stand-in Slack, for the whole module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.account import Account
from demo.application import Application
from demo.celery_airflow import CeleryAirflow, celery_airflow
from demo.report import Kept, differences, read_store
from demo.scenarios import Scenario, prepare
from demo.services import MariaDB, Redis
from demo.slack import ON_CALL_GROUP, StandInSlack
from demo.traffic import generate
from demo.whole_airflow import Api, until

DAG = "processing_time_health_check"
PRESENT = datetime(2026, 6, 10, 12, tzinfo=UTC)


@dataclass
class Distributed:
    """What a test does with an Airflow of several workers, an application and a Slack."""

    airflow: CeleryAirflow
    api: Api
    application: Application
    mariadb: MariaDB
    slack: StandInSlack
    scenario: Scenario
    account: Account

    @property
    def last(self) -> datetime:
        """The scenario's last check, of which it says what has to come out."""
        return self.scenario.checks[-1].at

    def check(self, as_of: datetime) -> str:
        """Start a check; its run."""
        return self.api.trigger(DAG, as_of=as_of.isoformat())

    def at(self, run: str, task: str) -> str:
        """On which worker a task is running; empty when it is on none."""
        found = self.api.tasks(DAG, run)[task]
        return str(found["hostname"]) if found["state"] == "running" else ""

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """The tasks of a run, once it has ended."""
        self.api.finished(DAG, run)
        return self.api.tasks(DAG, run)

    def kept(self, as_of: datetime) -> Kept:
        """What the store has of a check."""
        return read_store(self.mariadb, self.application.store, as_of)

    def wrong(self) -> list[str]:
        """Where the numbers and states of the last check are not those of an independent count."""
        compared = list(differences(self.kept(self.last), self.scenario.expected, self.account))
        assert len(compared) > 15
        return [sentence for sentence, holds in compared if not holds]

    def said(self) -> list[str]:
        """The key of each message in Slack, which says what it is about."""
        return [str(m["metadata"]["event_payload"]["key"]) for m in self.slack.messages()]

    @contextmanager
    def locked(self, schema: str, table: str) -> Iterator[None]:
        """Let nobody read a table of the application's or of our store's."""
        with closing(self.mariadb.root(schema)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"LOCK TABLES {table} WRITE")
            yield

    def waits(self, user: str) -> bool:
        """Whether a statement of a user's waits for a table that is locked."""
        with closing(self.mariadb.root()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s AND state LIKE %s",
                (user, "%table metadata lock%"),
            )
            return bool(cursor.fetchone()[0])


@pytest.fixture(scope="module")
def application(
    mariadb: MariaDB, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Application:
    """The stand-in application in the same place for all tests; each of them builds it anew."""
    return Application(mariadb, redis_server, tmp_path_factory.mktemp("application"))


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInSlack]:
    """The stand-in Slack; each test begins with an empty one."""
    with StandInSlack(tmp_path_factory.mktemp("slack")) as server:
        yield server


@pytest.fixture(scope="module")
def own_settings() -> dict[str, str]:
    """The variables of a module's own."""
    return {}


@pytest.fixture(scope="module")
def celery(
    application: Application,
    slack: StandInSlack,
    own_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[CeleryAirflow, Api]]:
    """Airflow without a worker."""
    watching = application.environment(slack.connection(), slack.channels, ON_CALL_GROUP)
    variables = {**os.environ, **watching, "PROCESSING_TIME__SCHEDULE__RETRY_DELAY": "1s", **own_settings}
    with celery_airflow(tmp_path_factory.mktemp("airflow"), variables) as running:
        until(lambda: running[1].known(DAG), "the DAG is there")
        yield running


@pytest.fixture
def distributed(
    celery: tuple[CeleryAirflow, Api],
    application: Application,
    mariadb: MariaDB,
    redis_server: Redis,
    slack: StandInSlack,
) -> Distributed:
    """An application whose observer fails for one company, and a store that knows nothing of it."""
    scenario = prepare("phase_failures", PRESENT)
    account = generate(scenario.plan)
    application.build(account)
    slack.reset()
    with closing(redis_server.client(1)) as client:
        # A check that is interrupted takes longer than availability lives.
        for key in client.scan_iter("*availability*"):
            client.expire(key, 3600)
    return Distributed(*celery, application, mariadb, slack, scenario, account)
