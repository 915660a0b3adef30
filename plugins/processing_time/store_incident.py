# SPDX-License-Identifier: MIT
"""What the incident actions keep in our own schema: the phases that a rollback took out, and mutes.

Nothing here is ever deleted: a copy that was put back or was not needed stays as history, and so does a
mute that has ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from processing_time.settings import Mute
from processing_time.store_session import Session, aware, fetch, naive, to_json

Row = Mapping[str, str | None]
"""A row's columns as text: times in UTC, binary columns in hexadecimal, None for NULL."""

_SAVED = "id, appointment_id, state, appointment, overlapping, phases, checksum, saved_at"


AUTO_RECOVERY = "auto_recovery"
"""Who asked for what level 1 repairs by itself, in the audit of actions."""


class CopyState(StrEnum):
    """Where a saved appointment stands. The first two are in force, and an appointment has one of those at most."""

    SAVED = "saved"
    """Copied; its phases may still be where they were."""
    REMOVED = "removed"
    """Its phases are here only."""
    RESTORED = "restored"
    OBSOLETE = "obsolete"
    """The application still has these phases, or others by now."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An appointment with its phases, bit for bit.

    :param appointment: the columns that decide whether the phases fit it.
    :param phases: all columns but the generated ones, by id.
    """

    appointment_id: int
    appointment: Row
    phases: tuple[Row, ...]

    @property
    def checksum(self) -> str:
        """SHA-256 over everything, in hexadecimal."""
        content = to_json([self.appointment_id, dict(self.appointment), [dict(p) for p in self.phases]])
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Saved:
    """A copy as it is kept.

    :param overlapping: the bookings that needed the same person at the same time when it was saved.
    """

    id: int
    state: CopyState
    copy: Copy
    overlapping: frozenset[int]
    saved_at: datetime


class DamagedCopy(Exception):
    """What was read back is not what was saved. The text names the appointment."""


class SavedPhases:
    """The copies, through one session of the store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def in_force(self, state: CopyState | None = None) -> list[int]:
        """The appointments with a copy in force (in that state), in order."""

        def read(cursor: Any) -> list[int]:
            rows = fetch(
                cursor,
                "SELECT appointment_id FROM saved_appointments WHERE in_force = 1 AND (%s IS NULL OR state = %s)"
                " ORDER BY appointment_id",
                (state and str(state),) * 2,
            )
            return [row["appointment_id"] for row in rows]

        return self._session.run(read)

    def read(self, appointments: Sequence[int]) -> dict[int, Saved]:
        """The copies in force of these appointments.

        :raises DamagedCopy: when one is not complete.
        """
        if not appointments:
            return {}

        def read(cursor: Any) -> dict[int, Saved]:
            rows = fetch(
                cursor,
                f"SELECT {_SAVED} FROM saved_appointments WHERE in_force = 1"  # noqa: S608
                f" AND appointment_id IN ({_marks(appointments)}) ORDER BY appointment_id",
                tuple(appointments),
            )
            phases = _phases(cursor, [row["id"] for row in rows])
            return {row["appointment_id"]: _saved(row, phases.get(row["id"], ())) for row in rows}

        return self._session.run(read)

    def save(self, copies: Sequence[Copy], overlapping: Mapping[int, frozenset[int]], at: datetime) -> None:
        """Keep copies, committed together; one that is in force already and equal stays as it is.

        :param at: the present time.
        """

        def write(cursor: Any) -> None:
            for copy in copies:
                known = fetch(
                    cursor,
                    "SELECT id, checksum FROM saved_appointments WHERE in_force = 1 AND appointment_id = %s",
                    (copy.appointment_id,),
                )
                if known and known[0]["checksum"] == copy.checksum:
                    continue
                if known:
                    _mark(cursor, [known[0]["id"]], CopyState.OBSOLETE)
                _insert(cursor, copy, overlapping.get(copy.appointment_id, frozenset()), at)

        self._session.run(write)

    def mark(self, saved: Sequence[int], state: CopyState, at: datetime) -> None:
        """Note that the phases of these copies were taken out, or put back.

        :param saved: ids of copies.
        :param at: the present time.
        """

        def write(cursor: Any) -> None:
            _mark(cursor, saved, state, at)

        if saved:
            self._session.run(write)


class Mutes:
    """The mutes that somebody set without a deployment."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, mute: Mute, starts_at: datetime, muted_by: str | None) -> None:
        """Mute from ``starts_at`` on; the same again changes nothing."""

        def write(cursor: Any) -> None:
            cursor.execute(
                "INSERT INTO mutes (rule, company_id, starts_at, ends_at, reason, muted_by)"
                " VALUES (%s, %s, %s, %s, %s, %s)"
                " ON DUPLICATE KEY UPDATE ends_at = VALUES(ends_at), reason = VALUES(reason), muted_by = VALUES(muted_by)",
                (mute.rule, mute.company or 0, naive(starts_at), naive(mute.until), mute.reason, muted_by),
            )

        self._session.run(write)

    def at(self, as_of: datetime) -> tuple[Mute, ...]:
        """The mutes that hold at an instant; of one rule and company the newest that had begun by then counts."""

        def read(cursor: Any) -> tuple[Mute, ...]:
            rows = fetch(
                cursor,
                "SELECT m.rule, m.company_id, m.ends_at, m.reason, m.muted_by FROM mutes AS m"
                " WHERE m.starts_at <= %s AND m.ends_at > %s AND NOT EXISTS ("
                "SELECT 1 FROM mutes AS n WHERE n.rule = m.rule AND n.company_id = m.company_id"
                " AND n.starts_at > m.starts_at AND n.starts_at <= %s) ORDER BY m.id",
                (naive(as_of),) * 3,
            )
            return tuple(_mute(row) for row in rows)

        return self._session.run(read)


class Recoveries:
    """What level 1 has repaired by itself, read from the audit of actions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def treated(self, action: str) -> frozenset[int]:
        """The alerts for which an action was begun, whatever became of it."""

        def read(cursor: Any) -> frozenset[int]:
            rows = fetch(
                cursor,
                "SELECT detail FROM actions WHERE requested_by = %s AND action = %s",
                (AUTO_RECOVERY, action),
            )
            return frozenset(id_ for row in rows for id_ in json.loads(row["detail"])["alerts"])

        return self._session.run(read)

    def unfinished(self, dag_run_id: str) -> dict[str, frozenset[int]]:
        """By action the alerts of what a run has begun and not completed."""

        def read(cursor: Any) -> dict[str, frozenset[int]]:
            rows = fetch(
                cursor,
                "SELECT action, detail FROM actions WHERE requested_by = %s AND dag_run_id = %s AND finished_at IS NULL",
                (AUTO_RECOVERY, dag_run_id),
            )
            return {row["action"]: frozenset(json.loads(row["detail"])["alerts"]) for row in rows}

        return self._session.run(read)

    def spent(self, action: str, since: datetime) -> int:
        """How much of its hourly measure an action has used since then, what was begun included."""

        def read(cursor: Any) -> int:
            rows = fetch(
                cursor,
                "SELECT detail FROM actions WHERE requested_by = %s AND action = %s AND started_at > %s",
                (AUTO_RECOVERY, action, naive(since)),
            )
            return sum(json.loads(row["detail"])["most"] for row in rows)

        return self._session.run(read)


def _insert(cursor: Any, copy: Copy, overlapping: frozenset[int], at: datetime) -> None:
    cursor.execute(
        "INSERT INTO saved_appointments (appointment_id, state, appointment, overlapping, phases, checksum, saved_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            copy.appointment_id,
            str(CopyState.SAVED),
            to_json(dict(copy.appointment)),
            to_json(sorted(overlapping)),
            len(copy.phases),
            copy.checksum,
            naive(at),
        ),
    )
    saved_id = cursor.lastrowid
    cursor.executemany(
        "INSERT INTO saved_phases (saved_id, phase_id, phase) VALUES (%s, %s, %s)",
        [(saved_id, phase["id"], to_json(dict(phase))) for phase in copy.phases],
    )


def _mark(cursor: Any, saved: Sequence[int], state: CopyState, at: datetime | None = None) -> None:
    when = {CopyState.REMOVED: ", removed_at = %s", CopyState.RESTORED: ", restored_at = %s"}.get(state, "")
    values = (str(state), naive(at)) if when else (str(state),)
    cursor.execute(
        f"UPDATE saved_appointments SET state = %s{when} WHERE id IN ({_marks(saved)})",  # noqa: S608
        (*values, *saved),
    )


def _phases(cursor: Any, saved: Sequence[int]) -> dict[int, tuple[Row, ...]]:
    phases: dict[int, tuple[Row, ...]] = {}
    if saved:
        rows = fetch(
            cursor,
            f"SELECT saved_id, phase FROM saved_phases WHERE saved_id IN ({_marks(saved)})"  # noqa: S608
            " ORDER BY saved_id, phase_id",
            tuple(saved),
        )
        for row in rows:
            phases[row["saved_id"]] = (*phases.get(row["saved_id"], ()), json.loads(row["phase"]))
    return phases


def _saved(row: Mapping[str, Any], phases: tuple[Row, ...]) -> Saved:
    copy = Copy(row["appointment_id"], json.loads(row["appointment"]), phases)
    if copy.checksum != row["checksum"]:
        raise DamagedCopy(
            f"the copy of appointment {copy.appointment_id} in saved_phases is not what was saved: leave it as it is,"
            " and compare it with a backup of the application's database"
        )
    return Saved(
        id=row["id"],
        state=CopyState(row["state"]),
        copy=copy,
        overlapping=frozenset(json.loads(row["overlapping"])),
        saved_at=aware(row["saved_at"]),
    )


def _mute(row: Mapping[str, Any]) -> Mute:
    by = f" ({row['muted_by']})" if row["muted_by"] else ""
    return Mute(
        rule=row["rule"],
        until=aware(row["ends_at"]),
        reason=row["reason"] + by,
        company=row["company_id"] or None,
    )


def _marks(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
