# SPDX-License-Identifier: MIT
"""The audit in a real MariaDB: begun before, completed once, never changed after; and locks that hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.services import MariaDB
from processing_time.outbox import Notification
from processing_time.store import Store
from processing_time.store_session import Busy

AT = datetime(2026, 6, 10, 12, tzinfo=UTC)
SCHEMA = "audit_under_test"
RUN = {"dag_run_id": "manual__1", "action": "rollback"}
NOTE = Notification("incident", "incident/1", "high", {"text": "Done", "blocks": []})


@pytest.fixture
def store(mariadb: MariaDB) -> Iterator[Store]:
    with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {SCHEMA}")
        cursor.execute(f"CREATE DATABASE {SCHEMA}")
    with Store(lambda: mariadb.root(SCHEMA)) as opened:
        yield opened


def rows(mariadb: MariaDB) -> list[dict[str, Any]]:
    import MySQLdb.cursors

    with contextlib.closing(mariadb.root(SCHEMA)) as connection:
        cursor = connection.cursor(MySQLdb.cursors.DictCursor)
        cursor.execute("SELECT * FROM actions ORDER BY id")
        return [{**row, "detail": json.loads(row["detail"])} for row in cursor.fetchall()]


def begin(store: Store, at: datetime = AT, **more: Any) -> None:
    asked = {**RUN, "requested_by": "anna", "dry_run": False, "detail": {"asked": 1}, **more}
    store.actions.begin(**asked, at=at)


def test_a_row_is_begun_and_completed_with_its_message(store: Store, mariadb: MariaDB) -> None:
    begin(store)
    (row,) = rows(mariadb)
    assert (row["started_at"], row["finished_at"], row["outcome"]) == (AT.replace(tzinfo=None), None, None)
    assert store.actions.finish(
        **RUN,
        outcome="done",
        at=AT + timedelta(hours=1),
        approved_by="ben",
        detail={"b": 2},
        notifications=[NOTE],
    )
    (row,) = rows(mariadb)
    assert (row["outcome"], row["approved_by"], row["requested_by"]) == ("done", "ben", "anna")
    assert row["finished_at"] - row["started_at"] == timedelta(hours=1)
    assert row["detail"] == {"asked": 1, "b": 2}
    assert [owed.dedupe_key for owed in store.outbox.due(AT)] == ["incident/1"]


def test_a_task_that_is_repeated_begins_nothing_new_before_the_end_and_a_new_row_after_it(
    store: Store, mariadb: MariaDB
) -> None:
    begin(store)
    begin(store, AT + timedelta(minutes=1))
    assert len(rows(mariadb)) == 1
    store.actions.finish(**RUN, outcome="failed", at=AT, detail={})
    assert not store.actions.finish(**RUN, outcome="done", at=AT, detail={}, notifications=[NOTE])
    assert store.outbox.due(AT) == []
    begin(store, AT + timedelta(minutes=2))
    store.actions.finish(**RUN, outcome="done", at=AT, detail={})
    assert [row["outcome"] for row in rows(mariadb)] == ["failed", "done"]


def test_actions_of_one_run_and_runs_of_one_action_are_told_apart(store: Store, mariadb: MariaDB) -> None:
    begin(store)
    begin(store, action="mute")
    begin(store, dag_run_id="manual__2")
    store.actions.finish(**RUN, outcome="done", at=AT, detail={})
    assert [row["outcome"] for row in rows(mariadb)] == ["done", None, None]


def test_names_that_are_too_long_are_cut(store: Store, mariadb: MariaDB) -> None:
    begin(store, requested_by="x" * 300)
    assert rows(mariadb)[0]["requested_by"] == "x" * 120


def test_only_one_acts_under_a_lock(store: Store, mariadb: MariaDB) -> None:
    with Store(lambda: mariadb.root(SCHEMA)) as other:
        with store.actions.alone("act.feature"):
            with pytest.raises(Busy), other.actions.alone("act.feature", wait=0):
                pass
            with other.actions.alone("act.mute", wait=0):
                pass
        with other.actions.alone("act.feature", wait=0):
            pass
