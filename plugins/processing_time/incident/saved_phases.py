# SPDX-License-Identifier: MIT
"""The application's phases as rows that can be taken out and put back bit for bit, over one connection.

Every column that the server does not compute is read as text and written as text; binary ones as hexadecimal. The
session's time zone is UTC for that, or the hour that summer time repeats would be read twice and written once. What was
written is read again before it is committed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from processing_time import grants
from processing_time.incident.action import Hands, Refused
from processing_time.sources import queries
from processing_time.sources.snapshot import driver_errors, session_statements
from processing_time.store_incident import Copy, Row
from processing_time.store_session import DENIED, LOCKED_OUT, again, error_code, transaction

T = TypeVar("T")

FACTS = ("service_id", "staff_id", "starts_at", "ends_at", "deleted_at")
"""The columns of an appointment that its phases depend on, where there are such columns."""
CHANGED: Mapping[str, str] = {
    "service_id": "has another service",
    "staff_id": "has another member of staff",
    "starts_at": "was moved",
    "ends_at": "lasts longer or shorter",
    "deleted_at": "was deleted",
}
NEEDED = ("SELECT", "INSERT", "DELETE")

_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double"})
_TIMES = frozenset({"date", "datetime", "timestamp", "time", "year"})
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"})
_BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_EXACT = _NUMBERS | _TIMES | _TEXTS | _BINARY | {"float", "bit", "uuid", "inet4", "inet6"}


class NotAsItWas(Exception):
    """A phase that was put back reads otherwise than the one that was taken out; nothing was committed."""


class BrokenOff(Exception):
    """The application's database did not do it; what is not committed did not happen. The text is one sentence."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        why = (
            "grant its login SELECT, and INSERT and DELETE on appointment_phases"
            if code in DENIED
            else "nothing is lost, run it again to go on"
        )
        super().__init__(f"the connection processing_time_mysql_write failed (error {code}): {why}")


class PhaseTable:
    """``appointment_phases`` through a connection that may write to it: see :func:`opened`.

    :param connection: a fresh DB-API connection.
    :param statement_timeout: the longest that one statement may take.
    :raises Refused: when a column has a type of which no copy can be exact.
    """

    def __init__(self, connection: Any, statement_timeout: timedelta) -> None:
        self._connection = connection
        ((version,),) = self._rows("SELECT VERSION()")
        # The last one begins a transaction that may only read.
        for statement in session_statements(str(version), statement_timeout)[:-1]:
            self._execute(statement)
        self._execute(
            "SET SESSION time_zone = '+00:00', autocommit = 1, innodb_lock_wait_timeout = 10,"
            # The application may hold what a strict server would refuse today.
            " sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
        )
        self._facts: dict[str, str] = {}
        self._columns: dict[str, str] = {}
        for table, column, type_ in self._rows(queries.read("incident/phase_columns.sql").statement({})):
            if _text(table).lower() == "appointment_phases":
                self._columns[_text(column)] = _text(type_).lower()
            elif _text(table).lower() == "appointments" and _text(column).lower() in FACTS:
                self._facts[_text(column)] = _text(type_).lower()
        for column, type_ in self._columns.items():
            if type_ not in _EXACT:
                raise Refused(
                    f"appointment_phases.{column} has the type {type_}, of which no exact copy can be made: roll back"
                    " by hand, from a backup"
                )

    def require_grants(self) -> None:
        """Raise Refused when the login may not do what will be needed."""
        ((schema,),) = self._rows("SELECT DATABASE()")
        held = grants.parse(_text(row[0]) for row in self._rows("SHOW GRANTS"))
        if missing := held.missing(NEEDED, _text(schema), "appointment_phases"):
            raise Refused(
                f"the login of processing_time_mysql_write lacks {', '.join(missing)} on appointment_phases: grant it"
            )

    def copies(self, appointments: Sequence[int], *, lock: bool = False) -> dict[int, Copy]:
        """These appointments with their phases of processing time, perhaps none; without those that do not exist.

        :param lock: keep others from changing them until the end of the transaction.
        """
        found = self._read("appointments", self._facts, appointments, "LOCK IN SHARE MODE" if lock else "")
        phases = self._read("phases", self._columns, appointments, "FOR UPDATE" if lock else "")
        names, columns = list(self._facts), list(self._columns)
        split = {id_ for id_, *_, has in found if has}
        rows: dict[int, list[Row]] = {id_: [] for id_, *_ in found}
        for id_, *values in phases:
            row = {c: _value(v, self._columns[c]) for c, v in zip(columns, values, strict=True)}
            # Phases of a composite service are none of ours.
            if id_ in split or row.get("segment_key") is None:
                rows[id_].append(row)
        return {
            id_: Copy(
                id_,
                {n: _value(v, self._facts[n]) for n, v in zip(names, values, strict=True)},
                tuple(rows[id_]),
            )
            for id_, *values, _ in found
        }

    def remove(self, copies: Sequence[Copy]) -> set[int]:
        """Delete the phases of those appointments that are still exactly as copied, all in one transaction.

        :return: the appointments whose phases were deleted.
        """

        def work() -> set[int]:
            now = self.copies([c.appointment_id for c in copies], lock=True)
            same = [c for c in copies if now.get(c.appointment_id) == c]
            phases = [int(phase["id"] or 0) for c in same for phase in c.phases]
            deleted = self._execute(*self._bound("delete_phases", phases=phases))
            if deleted != len(phases):
                raise NotAsItWas(f"{deleted} of {len(phases)} phases could be deleted")
            return {c.appointment_id for c in same}

        return self._transaction(work)

    def restore(self, copies: Sequence[Copy]) -> dict[int, str]:
        """Put phases back where they still fit, all in one transaction; those that are back already stay.

        :return: by appointment an empty text when it has them, or why it was left alone.
        :raises NotAsItWas: when a row that was written reads otherwise; nothing is put back then.
        """

        def work() -> dict[int, str]:
            ids = [c.appointment_id for c in copies]
            now = self.copies(ids, lock=True)
            taken = self._taken([int(phase["id"] or 0) for c in copies for phase in c.phases])
            reasons = {c.appointment_id: misfit(c, now.get(c.appointment_id), taken) for c in copies}
            fitting = [c for c in copies if not reasons[c.appointment_id]]
            missing = [c for c in fitting if now.get(c.appointment_id) != c]
            self._insert([phase for copy in missing for phase in copy.phases])
            written = self.copies([c.appointment_id for c in fitting], lock=True)
            for copy in fitting:
                if written.get(copy.appointment_id) != copy:
                    raise NotAsItWas(f"the phases of appointment {copy.appointment_id} read otherwise")
            return reasons

        return self._transaction(work)

    def misfits(self, copies: Sequence[Copy]) -> dict[int, str]:
        """By appointment an empty text, or why :meth:`restore` would leave it alone; changes nothing.

        :raises Refused: when the table has lost a column.
        """
        if lost := sorted(
            {c for copy in copies for phase in copy.phases for c in phase} - self._columns.keys()
        ):
            raise Refused(f"appointment_phases has no column {lost[0]} any more, which the saved phases hold")
        now = self.copies([c.appointment_id for c in copies])
        taken = self._taken([int(phase["id"] or 0) for c in copies for phase in c.phases])
        return {c.appointment_id: misfit(c, now.get(c.appointment_id), taken) for c in copies}

    def _taken(self, phases: Sequence[int]) -> frozenset[int]:
        return frozenset(id_ for (id_,) in self._rows(*self._bound("taken_ids", phases=phases)))

    def _insert(self, phases: Sequence[Row]) -> None:
        # Copies of different times may have different columns.
        for columns in dict.fromkeys(tuple(phase) for phase in phases):
            identifiers = {
                "columns": ", ".join(_quoted(c) for c in columns),
                "marks": ", ".join(_mark(n, self._columns[c]) for n, c in enumerate(columns)),
            }
            rows = [
                {f"column_{n}": value for n, value in enumerate(phase.values())}
                for phase in phases
                if tuple(phase) == columns
            ]
            with _in_words(), contextlib.closing(self._connection.cursor()) as cursor:
                cursor.executemany(queries.read("incident/insert_phases.sql").statement(identifiers), rows)

    def _read(
        self, what: str, columns: Mapping[str, str], appointments: Sequence[int], lock: str
    ) -> list[tuple[Any, ...]]:
        alias = "a" if what == "appointments" else "ph"
        chosen = ", ".join(_as_text(f"{alias}.{_quoted(c)}", type_) for c, type_ in columns.items())
        statement, values = self._bound(what, {"columns": chosen}, appointments=appointments)
        return self._rows(f"{statement} {lock}", values)

    def _bound(
        self, name: str, identifiers: Mapping[str, str] | None = None, **values: Sequence[int]
    ) -> tuple[str, dict[str, Any]]:
        query = queries.read(f"incident/{name}.sql")
        return queries.bind(query.statement(identifiers or {}), values, query.path)

    def _transaction(self, work: Callable[[], T]) -> T:
        for attempt in again(lambda error: isinstance(error, BrokenOff) and error.code in LOCKED_OUT):
            with attempt:
                result = transaction(self._execute, work)
        return result

    def _rows(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with _in_words(), contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(sql, values)
            # The connection's extra may ask for a cursor that gives mappings.
            return [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in cursor.fetchall()]

    def _execute(self, sql: str, values: Mapping[str, Any] | None = None) -> int:
        with _in_words(), contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(sql, values)
            return int(cursor.rowcount)


@contextlib.contextmanager
def opened(hands: Hands) -> Iterator[PhaseTable]:
    """The table over the connection that may write to it, which is closed at the end.

    :raises BrokenOff: here and later, when the server does not do it.
    :raises Refused: when that connection is not set up.
    """
    with _in_words():
        connection = hands.write()
    try:
        yield PhaseTable(connection, hands.settings.schedule.statement_timeout)
    finally:
        with contextlib.suppress(Exception):
            connection.close()


@contextlib.contextmanager
def repairing(hands: Hands) -> Iterator[PhaseTable]:
    """The same to plan with: whatever stands in the way is a refusal.

    :raises Refused: also when the login lacks a grant.
    """
    try:
        with opened(hands) as table:
            table.require_grants()
            yield table
    except BrokenOff as broken:
        raise Refused(str(broken)) from None


def misfit(copy: Copy, now: Copy | None, taken: frozenset[int]) -> str:
    """Why phases do not fit their appointment any more; empty when they do.

    :param now: the appointment as it is, None when it is gone.
    :param taken: ids of phases that are in use.
    """
    if now == copy:  # an attempt that was cut off has put them back
        return ""
    if now is None:
        return "is gone"
    for name, text in CHANGED.items():
        if now.appointment.get(name) != copy.appointment.get(name):
            return text
    if now.phases:
        return "has phases again"
    if any(int(phase["id"] or 0) in taken for phase in copy.phases):
        return "had phases whose ids belong to others now"
    return ""


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """The texts of the server are not passed on: they may hold a login or a host."""
    try:
        yield
    except driver_errors() as error:
        raise BrokenOff(error_code(error)) from None


def _as_text(column: str, type_: str) -> str:
    """An expression that gives a column exactly, in hexadecimal digits: every driver leaves those alone."""
    if type_ in _BINARY:
        return f"HEX({column})"
    if type_ == "float":
        # As text it would be rounded to six digits.
        column = f"CAST({column} AS DOUBLE)"
    elif type_ == "bit":
        column = f"CAST({column} AS UNSIGNED)"
    return f"HEX(CONVERT({column} USING utf8mb4))"


def _value(read: Any, type_: str) -> str | None:
    if read is None:
        return None
    digits = _text(read)
    return digits if type_ in _BINARY else bytes.fromhex(digits).decode()


def _mark(number: int, type_: str) -> str:
    mark = f"%(column_{number})s"
    return f"UNHEX({mark})" if type_ in _BINARY else f"CAST({mark} AS UNSIGNED)" if type_ == "bit" else mark


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)
