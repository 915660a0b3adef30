# SPDX-License-Identifier: MIT
"""A session with our own schema: one connection, whole transactions that are retried, and the migrations.

A transaction is a function of a cursor. It may run more than once, because a deadlock or a lost connection repeats
all of it, so what it does must come out the same when it is done twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from processing_time.settings import SQL
from processing_time.settings_targets import SCHEMA as SCHEMA

log = logging.getLogger(__name__)

T = TypeVar("T")
MIGRATIONS = SQL / "store"
ATTEMPTS = 5

_CREATE = (
    f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4; "
    f"GRANT ALL ON {SCHEMA}.* TO '<login of processing_time_store>'@'%';"
)
_NO_TABLE, _NO_DATABASE = 1146, 1049
DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1698})
"""Error numbers of a login or a grant that is missing."""
_CONNECTION_LOST = frozenset({1053, 1927, 2002, 2003, 2005, 2006, 2013, 2055, 4031})
LOCKED_OUT = frozenset({1205, 1213})
"""Error numbers of a lock that was waited for in vain, and of a deadlock."""


class StoreError(Exception):
    """The store cannot be used. The text is one sentence that names the connection and the fix."""


class Busy(StoreError):
    """Another process holds the lock that was asked for."""


class Session:
    """One connection to our schema, opened on first use and again after it was lost; not for several threads.

    :param connect: gives a fresh DB-API connection of a MySQL driver.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: Any = None
        self._schema = ""

    def close(self) -> None:
        """Close the connection. The session can be used again."""
        if self._connection is not None:
            # A connection that the server has dropped may object to being closed.
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None

    def run(self, work: Callable[[Any], T], *, lock: str = "", wait: int = 30) -> T:
        """Do ``work(cursor)`` in one transaction and commit it; its result.

        :param lock: a name; nobody else runs a transaction, or is inside :meth:`hold`, under that name meanwhile.
        :param wait: seconds to wait for the lock.
        :raises Busy: when the lock was not free in that time.
        :raises StoreError: when the store cannot be reached, does not exist or lacks grants.
        """
        with _in_words():
            for attempt in again(_passing):
                with attempt, self._cursor() as cursor, self._locked(cursor, lock, wait):
                    result = transaction(cursor.execute, partial(work, cursor))
        return result

    @contextlib.contextmanager
    def hold(self, lock: str, *, wait: int) -> Iterator[None]:
        """Keep a lock over several transactions, as long as this connection lives: see :meth:`holds`.

        :param wait: seconds to wait for the lock.
        :raises Busy: when it was not free in that time.
        :raises StoreError: when the store cannot be used.
        """
        with _in_words():
            for attempt in again(_passing):
                with attempt, self._cursor() as cursor:
                    self._take(cursor, lock, wait)
        try:
            yield
        finally:
            if self._connection is not None:
                with contextlib.suppress(Exception), contextlib.closing(self._connection.cursor()) as cursor:
                    self._release(cursor, lock)

    def holds(self, cursor: Any, lock: str) -> bool:
        """Whether this very connection still has the lock."""
        (row,) = fetch(cursor, "SELECT IS_USED_LOCK(%s) = CONNECTION_ID() AS ours", (self._name(lock),))
        return bool(row["ours"])

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            if self._connection is None:
                self._open()
            with contextlib.closing(self._connection.cursor()) as cursor:
                yield cursor
        except Exception as error:
            if error_code(error) in _CONNECTION_LOST or not _alive(self._connection):
                self.close()
            raise
        except (
            BaseException
        ):  # a timeout or an interrupt: nobody knows what the connection is in the middle of
            self.close()
            raise

    def _open(self) -> None:
        self._connection = self._connect()
        # A connection's extra, or a library's default, may be a character set that our texts do not fit.
        if speak := getattr(self._connection, "set_character_set", None):
            speak("utf8mb4")
        with contextlib.closing(self._connection.cursor()) as cursor:
            self._schema = _prepare(cursor)
            self._migrate(cursor)

    def _migrate(self, cursor: Any) -> None:
        """Bring the schema to the newest version; one cheap query when it is there already."""
        files = sorted(MIGRATIONS.glob("[0-9][0-9][0-9]_*.sql"))
        if _version(cursor) >= _number(files[-1]):
            return
        with self._locked(cursor, "migrate", 60):
            present = _version(cursor)
            for file in (f for f in files if _number(f) > present):
                log.info("store: applying %s", file.name)
                for statement in _statements(file):
                    cursor.execute(statement)
                cursor.execute("INSERT IGNORE INTO schema_version (version) VALUES (%s)", (_number(file),))

    @contextlib.contextmanager
    def _locked(self, cursor: Any, lock: str, wait: int) -> Iterator[None]:
        if not lock:
            yield
            return
        self._take(cursor, lock, wait)
        try:
            yield
        finally:
            # A connection that is gone has given its locks back.
            with contextlib.suppress(Exception):
                self._release(cursor, lock)

    def _take(self, cursor: Any, lock: str, wait: int) -> None:
        (row,) = fetch(cursor, "SELECT GET_LOCK(%s, %s) AS got", (self._name(lock), wait))
        if not row["got"]:
            raise Busy(
                f"another process has held the store's lock {lock!r} for {wait} s: let it finish, then clear this task"
            )

    def _release(self, cursor: Any, lock: str) -> None:
        fetch(cursor, "SELECT RELEASE_LOCK(%s)", (self._name(lock),))

    def _name(self, lock: str) -> str:
        # Locks belong to the server, their names are short: two installations on one server must not meet.
        return f"processing_time.{hashlib.sha256(self._schema.encode()).hexdigest()[:16]}.{lock}"


def fetch(cursor: Any, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries, whichever kind of cursor the connection gives."""
    cursor.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchall()
    return [dict(row) if isinstance(row, Mapping) else dict(zip(names, row, strict=True)) for row in rows]


def naive(instant: datetime | None) -> datetime | None:
    """An aware instant as the naive UTC time, on whole seconds, that a ``DATETIME`` column holds."""
    return None if instant is None else instant.astimezone(UTC).replace(tzinfo=None, microsecond=0)


def aware(written: datetime) -> datetime:
    """What a ``DATETIME`` column holds as an aware instant in UTC."""
    return written.replace(tzinfo=UTC)


def to_json(value: Any) -> str:
    """JSON for a column: compact, keys in a fixed order."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def again(passing: Callable[[BaseException], bool]) -> Retrying:
    """Attempts, with pauses between them, while the error is one that passes; the last error is raised."""
    return Retrying(
        retry=retry_if_exception(passing),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        reraise=True,
    )


def transaction(execute: Callable[[str], object], work: Callable[[], T]) -> T:
    """Do ``work`` between the beginning and the commit of a transaction; nothing of it stays when it raises."""
    execute("START TRANSACTION")
    try:
        result = work()
        execute("COMMIT")
    except BaseException:
        # A connection that broke has rolled back by itself.
        with contextlib.suppress(Exception):
            execute("ROLLBACK")
        raise
    return result


def _prepare(cursor: Any) -> str:
    """Make this connection independent of the server's defaults; the schema it works in."""
    cursor.execute(
        "SET SESSION autocommit = 1, time_zone = '+00:00', innodb_lock_wait_timeout = 15,"
        " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
    )
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    (row,) = fetch(cursor, "SELECT DATABASE() AS name")
    if row["name"] is None:
        cursor.execute(f"USE {SCHEMA}")
    return str(row["name"] or SCHEMA)


def _version(cursor: Any) -> int:
    try:
        (row,) = fetch(cursor, "SELECT COALESCE(MAX(version), 0) AS version FROM schema_version")
    except Exception as error:
        if error_code(error) == _NO_TABLE:
            return 0
        raise
    return int(row["version"])


def _number(file: Path) -> int:
    return int(file.name[:3])


def _statements(file: Path) -> list[str]:
    """The statements of a migration, each ended by a semicolon at the end of its line."""
    text = re.sub(r"^\s*--.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [statement for part in re.split(r";\s*$", text, flags=re.MULTILINE) if (statement := part.strip())]


def _alive(connection: Any) -> bool:
    if connection is None:
        return False
    try:
        with contextlib.closing(connection.cursor()) as cursor:
            fetch(cursor, "SELECT 1")
    except Exception:  # noqa: BLE001  # whatever it says, this connection is of no more use
        return False
    return True


def error_code(error: BaseException) -> int | None:
    """The error number of the server or the client library, with mysqlclient and mysql-connector-python alike."""
    code = getattr(error, "errno", None) or next(iter(error.args), None)
    return code if isinstance(code, int) else None


def _passing(error: BaseException) -> bool:
    return error_code(error) in _CONNECTION_LOST | LOCKED_OUT


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Turn what an operator can mend into one sentence, without host, login or password."""
    try:
        yield
    except Exception as error:
        code = error_code(error)
        if code == _NO_DATABASE:
            problem = f"its database does not exist: run {_CREATE}"
        elif code in DENIED:
            problem = f"the server refuses it (error {code}): check its login, or run {_CREATE}"
        elif code in _CONNECTION_LOST:
            problem = (
                f"its server does not answer (error {code}): check that it runs and can be reached from here"
            )
        else:
            raise
        raise StoreError(f"the connection processing_time_store does not work, {problem}") from None
