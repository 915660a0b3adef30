# SPDX-License-Identifier: MIT
"""The command that makes the store's tables: once, again, on a server that is late, and on one that never comes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from demo.application import PASSWORDS, Application
from processing_time import migrate, store_session

NEWEST = max(int(file.name[:3]) for file in store_session.MIGRATIONS.glob("*.sql"))


@pytest.fixture
def schema(mariadb) -> Callable[[str], None]:
    """Execute a statement about the store's schema as the administrator."""

    def execute(statement: str) -> None:
        with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    return execute


@pytest.fixture(autouse=True)
def watched(application: Application, watch: Callable[[Application], None]) -> None:
    """An application with an empty store, which the environment names."""
    application.create("guide")
    watch(application)


def version(mariadb) -> int:
    with (
        contextlib.closing(mariadb.root("processing_time_monitor")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT MAX(version) FROM schema_version")
        return int(cursor.fetchone()[0])


def test_the_tables_are_made_and_a_second_time_does_nothing(mariadb, capsys):
    assert [migrate.main([]), migrate.main([])] == [0, 0]
    assert version(mariadb) == NEWEST
    assert capsys.readouterr().out == "processing_time_store: the tables are there and up to date.\n" * 2


def test_it_waits_for_what_is_not_there_yet(mariadb, schema, capsys):
    schema("DROP DATABASE processing_time_monitor")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        schema("CREATE DATABASE processing_time_monitor")

    assert migrate.main(["--wait", "300"], sleep) == 0
    assert (slept, version(mariadb)) == ([migrate.PAUSE], NEWEST)
    assert "its database does not exist" in capsys.readouterr().out.splitlines()[0]


def test_without_patience_it_says_what_to_do_and_fails(schema, capsys):
    schema("DROP DATABASE processing_time_monitor")
    assert migrate.main([]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "the connection processing_time_store does not work, its database does not exist: run CREATE"
    )


def test_a_connection_that_is_missing_is_named_at_once(monkeypatch, capsys):
    monkeypatch.delenv("AIRFLOW_CONN_PROCESSING_TIME_STORE")
    assert migrate.main(["--wait", "300"]) == 1
    assert (
        capsys.readouterr().err
        == "there is no connection processing_time_store: set it up as docs/install.md says\n"
    )


def test_each_target_has_its_own(mariadb, monkeypatch, schema, capsys):
    for name in ("berlin", "hamburg"):
        schema(f"CREATE DATABASE IF NOT EXISTS processing_time_monitor_{name}")
        schema(f"GRANT ALL ON processing_time_monitor_{name}.* TO pt_store@'%'")
        uri = mariadb.uri("pt_store", PASSWORDS["pt_store"], f"processing_time_monitor_{name}")
        monkeypatch.setenv(f"AIRFLOW_CONN_PROCESSING_TIME_STORE__{name.upper()}", uri)
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", '{"berlin": {}, "hamburg": {}}')
    try:
        assert migrate.main([]) == 0
    finally:
        for name in ("berlin", "hamburg"):
            schema(f"DROP DATABASE processing_time_monitor_{name}")
    stores = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert stores == ["processing_time_store__berlin", "processing_time_store__hamburg"]
