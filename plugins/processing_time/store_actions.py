# SPDX-License-Identifier: MIT
"""The audit of what people, and automatic recovery, did: a row is written before an action starts, and completed after.

A completed row does not change any more: an action that is started again gets a new one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from processing_time.outbox import AlertKey, Notification, enqueue
from processing_time.store_session import Session, fetch, naive, to_json

_LONGEST_NAME = 120


class Actions:
    """The table ``actions``, through one session of the store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(
        self,
        *,
        dag_run_id: str,
        action: str,
        requested_by: str | None,
        dry_run: bool,
        at: datetime,
        detail: Mapping[str, Any],
    ) -> None:
        """Write that an action is going to be done; one of this run that was begun and not completed stays as it is.

        :param at: the present time.
        """

        def write(cursor: Any) -> None:
            if _unfinished(cursor, dag_run_id, action):
                return
            cursor.execute(
                "INSERT INTO actions (dag_run_id, action, requested_by, dry_run, started_at, detail)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (dag_run_id, action, _name(requested_by), dry_run, naive(at), to_json(dict(detail))),
            )

        self._session.run(write)

    def finish(
        self,
        *,
        dag_run_id: str,
        action: str,
        outcome: str,
        at: datetime,
        approved_by: str | None = None,
        detail: Mapping[str, Any],
        notifications: Sequence[Notification] = (),
        alerts: Mapping[AlertKey, int | None] | None = None,
    ) -> bool:
        """Complete the row of an action, and owe the messages about it, in one transaction.

        :param at: the present time.
        :param detail: added to what the row holds.
        :param alerts: the ids of the alerts that the messages name.
        :return: whether there was a row to complete; without one nothing is owed either.
        """

        def write(cursor: Any) -> bool:
            row = _unfinished(cursor, dag_run_id, action)
            if row is None:
                return False
            cursor.execute(
                "UPDATE actions SET finished_at = %s, outcome = %s, approved_by = %s, detail = %s WHERE id = %s",
                (
                    naive(at),
                    outcome,
                    _name(approved_by),
                    to_json({**json.loads(row["detail"]), **detail}),
                    row["id"],
                ),
            )
            enqueue(cursor, notifications, alerts or {}, at)
            return True

        return self._session.run(write)

    def owe(self, notification: Notification, alerts: Mapping[AlertKey, int | None], at: datetime) -> None:
        """Owe a message about an action that is not over yet.

        :param at: the present time.
        """
        self._session.run(lambda cursor: enqueue(cursor, [notification], alerts, at))

    def alert(self, alert_id: int) -> AlertKey | None:
        """Rule and company of an alert; None when there is none of that id."""

        def read(cursor: Any) -> AlertKey | None:
            rows = fetch(cursor, "SELECT rule, company_id FROM alerts WHERE id = %s", (alert_id,))
            return (rows[0]["rule"], rows[0]["company_id"]) if rows else None

        return self._session.run(read)

    @contextlib.contextmanager
    def alone(self, lock: str, *, wait: int = 10) -> Iterator[None]:
        """Be the only one that acts under a lock, as long as the store's connection lives.

        :param wait: seconds to wait until another one is done.
        :raises Busy: when it is not done by then.
        """
        with self._session.hold(lock, wait=wait):
            yield


def _unfinished(cursor: Any, dag_run_id: str, action: str) -> dict[str, Any] | None:
    rows = fetch(
        cursor,
        "SELECT id, detail FROM actions WHERE dag_run_id = %s AND action = %s AND finished_at IS NULL"
        " ORDER BY id DESC LIMIT 1 FOR UPDATE",
        (dag_run_id, action),
    )
    return rows[0] if rows else None


def _name(user: str | None) -> str | None:
    return None if user is None else user[:_LONGEST_NAME]
