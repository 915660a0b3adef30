# SPDX-License-Identifier: MIT
"""How a session is opened on either kind of server, and what a driver's error is called. No server is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import MySQLdb
import pytest

from processing_time.model import SourceUnavailable
from processing_time.sources.snapshot import (
    ConnectionLost,
    QueryFault,
    Snapshot,
    StatementTimeout,
    session_statements,
    snapshot,
)


class Refusing:
    """A connection whose every statement from the given one on fails."""

    def __init__(self, error: Exception, after: int = 0) -> None:
        self._error, self._left = error, after
        self._rows = [("10.11.6-MariaDB",)]
        self.closed = False

    def cursor(self) -> Refusing:
        return self

    def execute(self, sql: str, values: Any = None) -> None:
        if self._left == 0:
            raise self._error
        self._left -= 1

    def fetchmany(self, size: int) -> list[tuple[str]]:
        return [self._rows.pop()] if self._rows else []

    def rollback(self) -> None:
        raise MySQLdb.OperationalError(2006, "gone")

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("version", "limit", "other"),
    [
        ("10.11.6-MariaDB-0+deb12u1", "SET SESSION max_statement_time = 90.000", "max_execution_time"),
        ("5.5.5-10.6.18-MariaDB-log", "SET SESSION max_statement_time = 90.000", "max_execution_time"),
        ("8.0.39", "SET SESSION max_execution_time = 90000", "max_statement_time"),
        ("8.4.2-commercial", "SET SESSION max_execution_time = 90000", "in_predicate_conversion_threshold"),
    ],
)
def test_the_time_limit_is_the_server_s_own(version: str, limit: str, other: str) -> None:
    statements = session_statements(version, timedelta(seconds=90))
    assert statements[0] == limit
    assert other not in " ".join(statements)
    assert statements[-2:] == [
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ]


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (1969, StatementTimeout, "schedule.statement_timeout"),
        (3024, StatementTimeout, "schedule.statement_timeout"),
        (1142, QueryFault, "GRANT SELECT"),
        (1146, QueryFault, "said the server"),
        (1317, QueryFault, "error 1317"),
        (2013, ConnectionLost, "error 2013"),
        (2006, ConnectionLost, "error 2006"),
        (4031, ConnectionLost, "error 4031"),
        (0, ConnectionLost, "error 0"),
        (1044, ConnectionLost, "refuses access"),
    ],
)
def test_errors_in_words(code: int, kind: type[Exception], words: str) -> None:
    error = MySQLdb.OperationalError(
        code, "said the server about 'reader'@'10.0.0.7'" if code != 1146 else "said the server"
    )
    with pytest.raises(kind) as raised:
        Snapshot(Refusing(error)).rows("SELECT 1")
    assert words in str(raised.value)
    assert "10.0.0.7" not in str(raised.value)
    assert type(raised.value) is kind


def test_errors_of_the_other_driver() -> None:
    connector = pytest.importorskip("mysql.connector")
    for code, kind in (
        (1969, StatementTimeout),
        (2013, ConnectionLost),
        (-1, ConnectionLost),
        (1054, QueryFault),
    ):
        with pytest.raises(kind):
            Snapshot(Refusing(connector.Error(msg="x", errno=code))).rows("SELECT 1")


@pytest.mark.parametrize("after", [0, 1])
def test_a_session_that_cannot_be_opened_is_a_source_that_cannot_be_read(after: int) -> None:
    connection = Refusing(MySQLdb.OperationalError(2013, "lost"), after)
    with (
        pytest.raises(SourceUnavailable, match="was lost"),
        snapshot(lambda: connection, timedelta(seconds=1)),
    ):
        pass
    assert connection.closed


@pytest.mark.parametrize(("code", "words"), [(2003, "cannot be reached"), (1045, "refuses access")])
def test_a_server_that_does_not_let_us_in(code: int, words: str) -> None:
    def connect() -> Any:
        raise MySQLdb.OperationalError(code, "for 'reader'@'10.0.0.7' (using password: YES)")

    refused: Callable[[], Any] = connect
    with pytest.raises(SourceUnavailable, match=words) as raised, snapshot(refused, timedelta(seconds=1)):
        pass
    assert "reader" not in str(raised.value)
