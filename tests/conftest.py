# SPDX-License-Identifier: MIT
"""What tests share: an Airflow of their own, set up before its first import, and real servers.

Nothing of the machine's own configuration reaches a test: connections and settings of the environment are removed,
so that no test can talk to a real Slack or a real application.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import hypothesis
import pytest

PROJECT = Path(__file__).resolve().parents[1]
#: `make test-mysql` names a server of the user's here, to run the queries on it instead of on a MariaDB of ours.
TEST_DSN = "PROCESSING_TIME_TEST_DSN"
#: Without a server it names a folder that `scripts/mysql.sh` has filled, whose MySQL stands in for MariaDB.
TEST_MYSQL = "PROCESSING_TIME_TEST_MYSQL"

_AIRFLOW_HOME = pytest.StashKey[str]()

# A slow machine fails no test, and what is red was made red by a change, not by an unlucky draw.
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Point Airflow at a directory of its own. Each worker of a parallel run has one."""
    for name in list(os.environ):
        if name.startswith(("AIRFLOW_", "PROCESSING_TIME_")) and name not in (TEST_DSN, TEST_MYSQL):
            del os.environ[name]
    home = tempfile.mkdtemp(prefix="processing-time-tests-")
    config.stash[_AIRFLOW_HOME] = home
    os.environ.update(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(PROJECT / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(PROJECT / "plugins"),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=f"{home}/logs",
        # Where `make` may have put Redis, for a pytest that was started without make.
        PATH=f"{PROJECT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the run left."""
    shutil.rmtree(config.stash[_AIRFLOW_HOME], ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a run on MySQL, only what uses the database is left."""
    if TEST_MYSQL in os.environ:
        others = [item for item in items if "mariadb" not in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's own database, migrated: for tests that load or run DAGs."""
    from airflow.utils.db import initdb

    initdb()


class UsersServer:
    """A MySQL or MariaDB of the user's, with the interface of :class:`demo.services.MariaDB`."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 3306
        self._user, self._password = unquote(parts.username or "root"), unquote(parts.password or "")

    def root(self, schema: str = "") -> Any:
        """A connection as the user that the DSN names, autocommit on. The caller closes it."""
        import MySQLdb

        return MySQLdb.connect(
            host=self.host,
            port=self.port,
            user=self._user,
            password=self._password,
            database=schema,
            charset="utf8mb4",
            autocommit=True,
        )

    def uri(self, user: str, password: str, schema: str) -> str:
        """The Airflow connection URI of `user` on this server."""
        return (
            f"mysql://{quote(user, safe='')}:{quote(password, safe='')}"
            f"@{self.host}:{self.port}/{quote(schema, safe='')}?charset=utf8mb4"
        )


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real MariaDB, empty; with `make test-mysql` a MySQL, or the user's own server."""
    if dsn := os.environ.get(TEST_DSN):
        yield UsersServer(dsn)
        return
    directory, made = tmp_path_factory.mktemp("servers"), os.environ.get(TEST_MYSQL)
    if made:
        from tests.mysql_server import MySQL

        with MySQL(directory, PROJECT / made) as mysql:
            yield mysql
        return
    from demo.services import MariaDB

    with MariaDB(directory) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real Redis, empty. Tests that stop it start one of their own."""
    from demo.services import Redis

    with Redis(tmp_path_factory.mktemp("servers")) as server:
        yield server
