# SPDX-License-Identifier: MIT
"""A connection that remembers what was asked through it and how many rows the server read for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

READS = ("key", "next", "prev", "rnd", "rnd_next", "first", "last")


class Recording:
    """Wraps a DB-API connection; ``before`` is called with each statement before it is executed."""

    def __init__(self, connection: Any, before: Callable[[str], None] = lambda sql: None) -> None:
        self.statements: list[tuple[str, Any]] = []
        self.rows_read = 0
        self.closed = False
        self._connection, self._before = connection, before

    def cursor(self) -> Any:
        return _Cursor(self._connection.cursor(), self)

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        cursor = self._connection.cursor()
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        self.rows_read = sum(
            int(n) for name, n in cursor.fetchall() if name.lower().removeprefix("handler_read_") in READS
        )
        self._connection.close()
        self.closed = True

    def note(self, sql: str, values: Any) -> None:
        self.statements.append((sql, values))
        self._before(sql)


class _Cursor:
    def __init__(self, cursor: Any, recording: Recording) -> None:
        self._cursor, self._recording = cursor, recording

    def execute(self, sql: str, values: Any = None) -> None:
        self._recording.note(sql, values)
        self._cursor.execute(sql, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)
