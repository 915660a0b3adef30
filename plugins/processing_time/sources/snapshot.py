# SPDX-License-Identifier: MIT
"""One connection to the application's database, and on it one consistent snapshot that cannot be written to.

Works with mysqlclient and mysql-connector-python, on MySQL and MariaDB. Texts of the server are not passed on: they
may hold a login or a host.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

from processing_time.model import SourceUnavailable

CONNECTION = "the connection processing_time_mysql"
FETCH = 10_000
"""Rows that are turned into Python values at once."""

_LOST = frozenset({-1, 0, 1053, 1927, 2002, 2003, 2005, 2006, 2013, 2055, 4031})
_DENIED = frozenset({1044, 1045, 1049, 1130, 1251, 1698, 2059})
_NOT_GRANTED = frozenset({1142, 1143})
_TOO_SLOW = frozenset({1969, 3024})
# What these say is about the query alone, and helps whoever wrote it.
_TOLD = frozenset({1054, 1055, 1064, 1146, 1305})

Row = tuple[Any, ...]


class QueryFault(Exception):
    """One query gave no answer. The text is one sentence that names what to change."""


class StatementTimeout(QueryFault):
    """One query took longer than ``schedule.statement_timeout``."""


class ConnectionLost(Exception):
    """The connection broke, so nothing more can be asked. The text is one sentence."""


class Snapshot:
    """What the database held at one moment. Made by :func:`snapshot`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows of a query.

        :param values: what is bound to ``%(name)s``.
        :raises QueryFault: when the server refuses it; :class:`StatementTimeout` when it took too long.
        :raises ConnectionLost: when the connection broke.
        """
        return list(self.stream(sql, values))

    def table(self, sql: str, values: Mapping[str, Any] | None = None) -> tuple[list[str], list[Row]]:
        """The names of the columns, in small letters, and all rows; raises as :meth:`rows`."""
        with self._cursor(sql, values) as cursor:
            return [column[0].lower() for column in cursor.description], list(
                chain.from_iterable(_pages(cursor))
            )

    def stream(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """The rows one after the other; raises as :meth:`rows`, also while they are read."""
        return chain.from_iterable(self._pages(sql, values))

    def execute(self, sql: str) -> None:
        """A statement without a result; raises as :meth:`rows`."""
        with self._cursor(sql, None):
            pass

    def _pages(self, sql: str, values: Mapping[str, Any] | None) -> Iterator[Sequence[Row]]:
        with self._cursor(sql, values) as cursor:
            yield from _pages(cursor)

    @contextlib.contextmanager
    def _cursor(self, sql: str, values: Mapping[str, Any] | None) -> Iterator[Any]:
        try:
            with contextlib.closing(self._connection.cursor()) as cursor:
                cursor.execute(sql, values)
                yield cursor
        except driver_errors() as error:
            raise _in_words(error) from None


@contextlib.contextmanager
def snapshot(connect: Callable[[], Any], statement_timeout: timedelta) -> Iterator[Snapshot]:
    """Connect, open a read-only consistent snapshot, and close the connection at the end.

    The session's time zone is left alone, as Laravel leaves it.

    :raises SourceUnavailable: when the server cannot be reached or refuses access.
    """
    try:
        connection = connect()
    except driver_errors() as error:
        raise SourceUnavailable(_unreachable(_code(error))) from None
    try:
        opened = Snapshot(connection)
        try:
            _prepare(opened, statement_timeout)
        except (QueryFault, ConnectionLost) as fault:
            raise SourceUnavailable(str(fault)) from None
        yield opened
    finally:
        with contextlib.suppress(*driver_errors()):
            connection.rollback()
        with contextlib.suppress(*driver_errors()):
            connection.close()


def driver_errors() -> tuple[type[Exception], ...]:
    """The base exceptions of the drivers that are in use (a driver that was not imported cannot have raised)."""
    drivers = (sys.modules.get(name) for name in ("MySQLdb", "mysql.connector"))
    return tuple(driver.Error for driver in drivers if driver)


def _prepare(opened: Snapshot, statement_timeout: timedelta) -> None:
    version = str(opened.rows("SELECT VERSION()")[0][0])
    for statement in session_statements(version, statement_timeout):
        opened.execute(statement)


def session_statements(version: str, statement_timeout: timedelta) -> Sequence[str]:
    """What to execute on a fresh connection, by the server's version text."""
    seconds = statement_timeout.total_seconds()
    limits = [f"SET SESSION max_execution_time = {seconds * 1000:.0f}"]
    if "mariadb" in version.lower():
        # A long IN list must stay a filter: turned into a subquery it may become where the plan starts.
        limits = [
            f"SET SESSION max_statement_time = {seconds:.3f}",
            "SET SESSION in_predicate_conversion_threshold = 0",
        ]
    return [
        *limits,
        # A snapshot needs this level; a server's default may be another.
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ]


def _pages(cursor: Any) -> Iterator[Sequence[Row]]:
    while page := cursor.fetchmany(FETCH):
        # The connection's extra may ask for a cursor that gives mappings.
        yield [tuple(row.values()) for row in page] if isinstance(page[0], dict) else page


def _code(error: Exception) -> int:
    number = getattr(error, "errno", None) or (error.args[0] if error.args else 0)
    return number if isinstance(number, int) else 0


def _in_words(error: Exception) -> Exception:
    code = _code(error)
    if code in _TOO_SLOW:
        return StatementTimeout(
            "it took longer than schedule.statement_timeout: raise that, or look at the indexes"
        )
    if code in _NOT_GRANTED:
        return QueryFault(f"the login of {CONNECTION} may not read all that it needs: GRANT SELECT")
    if code in _LOST:
        return ConnectionLost(f"the connection to the application's database was lost (error {code})")
    if code in _DENIED:
        return ConnectionLost(_unreachable(code))
    told = f": {error.args[-1]}" if code in _TOLD else ""
    return QueryFault(f"the server refused the query (error {code}{told})")


def _unreachable(code: int) -> str:
    if code in _DENIED:
        return f"the application's database refuses access (error {code}): check login, password, schema and grants of {CONNECTION}"
    return f"the application's database cannot be reached (error {code}): check host and port of {CONNECTION}"
