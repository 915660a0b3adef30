# SPDX-License-Identifier: MIT
"""The outbox: messages that Slack is owed, written in the transaction of the state that they tell of.

A message leaves in three steps, each committed before the next: :meth:`Outbox.attempt` before Slack is called,
:meth:`Outbox.posted` with what Slack returned, :meth:`Outbox.delivered` when nothing is left to do for it. A crash after
``attempt`` leaves it *in doubt*: Slack may have it, and has to be asked before it is sent again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from processing_time.store_session import Session, StoreError, aware, fetch, naive, to_json

THREAD_ADDRESS = "https://thread.invalid/"
"""Stands in a payload for the address of the thread of its alert, which only Slack knows once the root is delivered."""
ALERT_ID = "{alert id}"
"""Stands in a message for the id of its alert, which a new alert gets only when it is written."""
_LOCK = "deliver"
_LONGEST_ERROR = 500

Payload = Mapping[str, Any]
AlertKey = tuple[str, int]


class Place(StrEnum):
    """Where a message goes."""

    ROOT = "root"
    """To the channel; it opens the thread of its alert."""
    CHANNEL = "channel"
    """To the channel, on its own."""
    THREAD = "thread"
    """Into the thread of its alert, once that is there."""
    BROADCAST = "broadcast"
    """Into the thread, and shown in the channel as well."""
    ROOT_ONLY = "root_only"
    """Nowhere: the root message of the thread changes, and nothing is posted."""

    @property
    def needs_thread(self) -> bool:
        """It needs the thread of its alert."""
        return self in (Place.THREAD, Place.BROADCAST, Place.ROOT_ONLY)


@dataclass(frozen=True, slots=True)
class File:
    """Bytes that are uploaded to Slack and shared there.

    :param alt: what a picture shows, in words.
    :param slack_id: the id that Slack gave them, once they are there.
    """

    name: str
    title: str
    content: bytes
    alt: str = ""
    slack_id: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """A message that is to be owed.

    :param dedupe_key: says which message of which check this is; the same key twice is one message.
    :param route: a severity or ``reports``; the settings at delivery give the channel.
    :param payload: ``text`` and ``blocks`` as Slack takes them.
    :param alert: rule and company of the alert that it belongs to.
    :param root: ``text`` and ``blocks`` that the root message of the thread gets with it.
    :param not_before: the earliest time of delivery, aware.
    :param thread: the ``dedupe_key`` of the message in whose thread it goes, for one that belongs to no alert.
    :param file: what is shared instead of posting the payload, which then is ``{}``.
    """

    kind: str
    dedupe_key: str
    route: str
    payload: Payload
    place: Place = Place.CHANNEL
    alert: AlertKey | None = None
    root: Payload | None = None
    not_before: datetime | None = None
    thread: str | None = None
    file: File | None = None


@dataclass(frozen=True, slots=True)
class Owed:
    """A message that has not been delivered yet.

    :param in_doubt_since: the first call whose outcome is not known, in ``tried_channel``; None when there is none.
    :param at: channel and ts that Slack returned, when only the root message is left to be updated.
    """

    id: int
    kind: str
    dedupe_key: str
    route: str
    place: Place
    payload: Payload
    root: Payload | None
    alert_id: int | None
    attempts: int
    in_doubt_since: datetime | None
    tried_channel: str | None
    at: tuple[str, str] | None
    thread_key: str | None = None
    file: File | None = None


class LockLost(StoreError):
    """The connection broke, and with it the lock that lets one process deliver: another one may do so now."""


class Outbox:
    """The messages owed, through one session of the store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextlib.contextmanager
    def delivering(self, *, wait: int = 60) -> Iterator[None]:
        """Be the only process that delivers.

        :param wait: seconds to wait until another one is done.
        :raises Busy: when it is not done by then.
        """
        with self._session.hold(_LOCK, wait=wait):
            yield

    def add(self, notifications: Sequence[Notification], at: datetime) -> None:
        """Owe messages that belong to no decision, such as reports.

        :param at: the present time.
        """
        self._session.run(lambda cursor: enqueue(cursor, notifications, {}, at))

    def due(self, present: datetime) -> list[Owed]:
        """The messages to deliver, oldest first."""

        def read(cursor: Any) -> list[Owed]:
            rows = fetch(
                cursor,
                "SELECT n.*, f.thread_key, f.name, f.title, f.alt, f.content, f.slack_file FROM notifications AS n"
                " LEFT JOIN notification_files AS f ON f.dedupe_key = n.dedupe_key WHERE n.delivered_at IS NULL"
                " AND (n.not_before IS NULL OR n.not_before <= %s) ORDER BY n.id",
                (naive(present),),
            )
            return [_owed(row) for row in rows]

        return self._session.run(read)

    def thread(self, alert_id: int | None) -> tuple[str, str] | None:
        """Channel and ts of the root message of an alert's thread, once Slack has it."""
        return self._where("alerts WHERE id = %s", alert_id)

    def message(self, dedupe_key: str) -> tuple[str, str] | None:
        """Channel and ts of a message, once Slack has it."""
        return self._where("notifications WHERE dedupe_key = %s", dedupe_key)

    def _where(self, row: str, key: Any) -> tuple[str, str] | None:
        def read(cursor: Any) -> tuple[str, str] | None:
            rows = fetch(cursor, f"SELECT slack_channel, slack_ts FROM {row}", (key,))  # noqa: S608  # ours
            return (rows[0]["slack_channel"], rows[0]["slack_ts"]) if rows and rows[0]["slack_ts"] else None

        return self._session.run(read)

    def pointers(self, alert_id: int | None) -> list[tuple[str, str]]:
        """Channel and ts of the messages that told worse channels of the alerts of a thread that are over.

        Many companies may share the thread: whose message it is need not be whose end is told.
        """

        def read(cursor: Any) -> list[tuple[str, str]]:
            rows = fetch(
                cursor,
                "SELECT n.slack_channel, n.slack_ts FROM alerts AS one JOIN alerts AS a ON a.rule = one.rule"
                " AND a.opened_at = one.opened_at AND a.slack_channel = one.slack_channel AND a.slack_ts = one.slack_ts"
                " JOIN notifications AS n ON n.alert_id = a.id WHERE one.id = %s AND a.state = 'resolved'"
                " AND n.kind = 'moved' AND n.slack_ts IS NOT NULL ORDER BY n.id",
                (alert_id,),
            )
            return [(row["slack_channel"], row["slack_ts"]) for row in rows]

        return self._session.run(read)

    def attempt(self, owed: Owed, channel: str, at: datetime) -> None:
        """Note, before Slack is called, that it is going to be.

        :raises LockLost: when somebody else may be delivering by now.
        """

        def write(cursor: Any) -> None:
            if not self._session.holds(cursor, _LOCK):
                raise LockLost(
                    "the connection processing_time_store broke during the delivery: clear this task to go on"
                )
            cursor.execute(
                "UPDATE notifications SET attempts = attempts + 1, in_doubt_since = COALESCE(in_doubt_since, %s),"
                " tried_channel = %s WHERE id = %s",
                (naive(at), channel, owed.id),
            )

        self._session.run(write)

    def uploaded(self, owed: Owed, slack_file: str | None) -> None:
        """Slack has the bytes of the message's file under that id, not shared yet; None: it has them no more."""
        self._session.run(
            lambda cursor: cursor.execute(
                "UPDATE notification_files SET slack_file = %s WHERE dedupe_key = %s",
                (slack_file, owed.dedupe_key),
            )
        )

    def refused(self, owed: Owed, error: str) -> None:
        """Slack said no: it has not got the message, and nothing is in doubt."""
        self._update(owed, "in_doubt_since = NULL, last_error = %s", error[:_LONGEST_ERROR])

    def unclear(self, owed: Owed, error: str) -> None:
        """Nobody knows whether Slack has the message, or the root message is still to be updated."""
        self._update(owed, "last_error = %s", error[:_LONGEST_ERROR])

    def posted(self, owed: Owed, channel: str, ts: str) -> None:
        """Slack has the message; a root message opens the thread of its alert, and of those that share it."""

        def write(cursor: Any) -> None:
            cursor.execute(
                "UPDATE notifications SET slack_channel = %s, slack_ts = %s, in_doubt_since = NULL WHERE id = %s",
                (channel, ts, owed.id),
            )
            if owed.place is Place.ROOT:
                (alert,) = fetch(
                    cursor, "SELECT rule, company_id, opened_at FROM alerts WHERE id = %s", (owed.alert_id,)
                )
                cursor.execute(
                    "UPDATE alerts SET slack_channel = %s, slack_ts = %s"
                    " WHERE id = %s OR (rule = %s AND thread_company = %s AND opened_at = %s)",
                    (channel, ts, owed.alert_id, alert["rule"], alert["company_id"], alert["opened_at"]),
                )

        self._session.run(write)

    def delivered(self, owed: Owed, at: datetime) -> None:
        """Nothing is left to do for this message."""
        self._update(owed, "last_error = NULL, delivered_at = %s", naive(at))

    def _update(self, owed: Owed, assignments: str, value: Any) -> None:
        sql = f"UPDATE notifications SET {assignments} WHERE id = %s"  # noqa: S608  # ours, from just above
        self._session.run(lambda cursor: cursor.execute(sql, (value, owed.id)))


def enqueue(
    cursor: Any, notifications: Sequence[Notification], ids: Mapping[AlertKey, int | None], at: datetime
) -> None:
    """Owe messages, in the transaction of ``cursor``; those that are owed or delivered already stay as they are.

    :param ids: the ids of the alerts that the messages name.
    """
    cursor.executemany(
        "INSERT INTO notifications (alert_id, kind, dedupe_key, route, place, payload, root, created_at, not_before)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE dedupe_key = VALUES(dedupe_key)",
        [
            (
                (alert_id := ids[n.alert] if n.alert else None),
                n.kind,
                n.dedupe_key.replace(ALERT_ID, str(alert_id)),
                n.route,
                str(n.place),
                _numbered(n.payload, alert_id),
                _numbered(n.root, alert_id) if n.root else None,
                naive(at),
                naive(n.not_before),
            )
            for n in notifications
        ],
    )
    cursor.executemany(
        "INSERT INTO notification_files (dedupe_key, thread_key, name, title, alt, content)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE dedupe_key = VALUES(dedupe_key)",
        [
            (n.dedupe_key, n.thread, *((f.name, f.title, f.alt, f.content) if (f := n.file) else (None,) * 4))
            for n in notifications
            if n.thread or n.file
        ],
    )


def _numbered(payload: Payload, alert_id: int | None) -> str:
    return to_json(payload).replace(ALERT_ID, str(alert_id))


def _owed(row: Mapping[str, Any]) -> Owed:
    return Owed(
        id=row["id"],
        kind=row["kind"],
        dedupe_key=row["dedupe_key"],
        route=row["route"],
        place=Place(row["place"]),
        payload=json.loads(row["payload"]),
        root=json.loads(row["root"]) if row["root"] else None,
        alert_id=row["alert_id"],
        attempts=row["attempts"],
        in_doubt_since=aware(row["in_doubt_since"]) if row["in_doubt_since"] else None,
        tried_channel=row["tried_channel"],
        at=(row["slack_channel"], row["slack_ts"]) if row["slack_ts"] else None,
        thread_key=row["thread_key"],
        file=File(row["name"], row["title"], row["content"], row["alt"], row["slack_file"])
        if row["name"]
        else None,
    )
