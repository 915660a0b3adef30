# SPDX-License-Identifier: MIT
"""The status page without an Airflow around it, for pictures: a year of checks, and a bad afternoon at the end of it.

With several applications that is Berlin's; Hamburg is well, nobody watches Munich, and the store of Vienna cannot be read.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import MySQLdb
import uvicorn

from benchmarks.page_data import History, fill
from demo.services import MariaDB
from processing_time.page import site
from processing_time.page.application import Surroundings
from processing_time.settings import Settings, load, target_names
from processing_time.store import Store
from processing_time.store_session import SCHEMA, StoreError, naive
from processing_time.timeline import Timeline, previous_tick

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
COMPANIES = 12
BROKEN = "vienna"
_LATE = {"berlin": timedelta(), "hamburg": timedelta(), "munich": timedelta(hours=3)}
"""The targets, and how long before the others each was checked last."""
_TROUBLE = (
    # The observer has failed since eleven, most of all in one company.
    (
        "UPDATE samples SET value = 100 - {failing} / 4, numerator = 400 - {failing}, state = 'critical', severity = 'critical',"
        " reason = CONCAT({failing}, ' of 400 appointments without phases')"
        " WHERE metric = 'phase_creation_success_rate' AND company_id IN (0, 7) AND as_of > %s"
    ),
    "UPDATE checks SET facts = JSON_SET(facts, '$.mysql.today.with_phases', 400 - {failing}) WHERE as_of > %s",
    (
        "UPDATE samples SET value = NULL, numerator = NULL, denominator = NULL, state = 'unknown', reason ="
        " 'no line for a hit has ever come: check metrics.availability_cache_hit_rate.patterns.hit' WHERE metric ="
        " 'availability_cache_hit_rate' AND company_id = 0 AND as_of > %s"
    ),
    "DELETE FROM alerts WHERE resolved_at IS NULL AND rule = 'phase_creation_time' AND opened_at > %s - INTERVAL 1 DAY",
    (
        "UPDATE alerts SET rule = 'availability_cache_hit_rate.unknown', severity = 'medium'"
        " WHERE resolved_at IS NULL AND rule = 'phase_creation_burn_rate' AND opened_at > %s - INTERVAL 1 DAY"
    ),
    "UPDATE checks SET state = 'critical' WHERE as_of > %s",
    (
        "UPDATE alerts SET severity = 'critical', level = 2, state = 'acknowledged', acknowledged_by = 'U0ANNA00001',"
        " opened_at = %s + INTERVAL 1 HOUR,"
        " acknowledged_at = opened_at + INTERVAL 34 MINUTE WHERE rule = 'phase_creation_success_rate' AND resolved_at IS NULL"
    ),
)


@contextlib.contextmanager
def served(server: MariaDB, *, several: bool = False) -> Iterator[str]:
    """The address of the page, twenty minutes after its newest check; `several`: of the list of all applications."""

    def connect(settings: Settings) -> Any:
        if settings.target == BROKEN:
            raise StoreError(
                "the connection processing_time_store does not work, its server does not answer (error 2003):"
                " check that it runs and can be reached from here"
            )
        return MySQLdb.connect(
            unix_socket=server.socket, user="root", database=_schema(settings), charset="utf8mb4"
        )

    names: dict[str, dict[str, Any]] = {name: {} for name in (*_LATE, BROKEN)} if several else {}
    with patch.dict(os.environ, {"PROCESSING_TIME__TARGETS": json.dumps(names)}):
        for target in names.keys() - {BROKEN} or {""}:
            settings = load(target=target)
            with contextlib.closing(server.root()) as root, contextlib.closing(root.cursor()) as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {_schema(settings)}")
                cursor.execute(f"CREATE DATABASE {_schema(settings)} CHARACTER SET utf8mb4")
            _history(partial(connect, settings), settings)
        with _running(connect) as address:
            yield address


@contextlib.contextmanager
def _running(connect: Callable[[Settings], Any]) -> Iterator[str]:
    around = Surroundings(
        connect=connect,
        settings=lambda target: load(target=target),
        targets=target_names,
        user=lambda: "anna",
        token=lambda _: "",
        clock=lambda: AS_OF + timedelta(minutes=20),
    )
    application = uvicorn.Server(uvicorn.Config(site.build(around), log_level="warning"))
    # It listens before the thread is there to answer.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=application.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            application.should_exit = True
            thread.join()


def _schema(settings: Settings) -> str:
    return f"{SCHEMA}_{settings.target}" if settings.target else SCHEMA


def _history(connect: Callable[[], Any], settings: Settings) -> None:
    newest, bad = AS_OF - _LATE.get(settings.target, timedelta()), settings.target in ("", "berlin")
    with Store(connect) as store:
        store.sightings()
    with contextlib.closing(connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
        fill(connection, History(newest, 120, COMPANIES), settings)
        if not bad:
            cursor.execute("UPDATE alerts SET resolved_at = opened_at + INTERVAL 1 HOUR, state = 'resolved'")
        since = newest.replace(tzinfo=None) - timedelta(hours=3)
        for statement in _TROUBLE if bad else ():
            cursor.execute(statement.format(failing="(4 + 4 * HOUR(as_of))"), (since,))
        _windows(cursor, newest, settings)
        connection.commit()


def _windows(cursor: Any, newest: datetime, settings: Settings) -> None:
    """The newest check looks at the windows of the settings."""
    tick = previous_tick(settings.schedule.health_check, settings.zone, newest)
    timeline = Timeline(newest, settings.zone, settings.application_zone, tick)
    windows = {key: timeline.window(metric) for key, metric in settings.metrics.items()}
    windows |= dict.fromkeys(settings.log_rules, timeline.windows["since_last_check"])
    cursor.executemany(
        "UPDATE samples SET window_start = %s WHERE as_of = %s AND metric = %s",
        [(naive(window.start), naive(newest), key) for key, window in windows.items()],
    )
