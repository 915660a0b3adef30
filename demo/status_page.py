# SPDX-License-Identifier: MIT
"""The status page without an Airflow around it, for pictures: a year of checks, and a bad afternoon at the end of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import MySQLdb
import uvicorn

from benchmarks.page_data import History, fill
from demo.processes import free_port
from demo.services import MariaDB
from processing_time.page.application import Surroundings, build
from processing_time.settings import load
from processing_time.store import Store
from processing_time.store_session import SCHEMA

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
COMPANIES = 12
_TROUBLE = (
    # The observer has failed since eleven, most of all in one company.
    (
        "UPDATE samples SET value = 100 - {fall} * 4.1, numerator = 400 - {fall} * 16, state = IF({fall} > 2, 'critical',"
        " 'alert'), severity = IF({fall} > 2, 'critical', 'high'), reason = CONCAT({fall} * 16, ' of 400 without phases')"
        " WHERE metric = 'phase_creation_success_rate' AND company_id IN (0, 7) AND as_of > %s"
    ),
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
def served(server: MariaDB) -> Iterator[str]:
    """The address of the page, twenty minutes after its newest check."""

    def connect() -> Any:
        return MySQLdb.connect(unix_socket=server.socket, user="root", database=SCHEMA, charset="utf8mb4")

    _history(server, connect)
    around = Surroundings(
        connect, load, user=lambda: "anna", token=lambda: "", clock=lambda: AS_OF + timedelta(minutes=20)
    )
    port = free_port()
    application = uvicorn.Server(
        uvicorn.Config(build(around), host="127.0.0.1", port=port, log_level="warning")
    )
    thread = threading.Thread(target=application.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        application.should_exit = True
        thread.join()


def _history(server: MariaDB, connect: Any) -> None:
    with contextlib.closing(server.root()) as root, contextlib.closing(root.cursor()) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {SCHEMA}")
        cursor.execute(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4")
    with Store(connect) as store:
        store.sightings()
    with contextlib.closing(connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
        fill(connection, History(AS_OF, 120, COMPANIES), load())
        since = AS_OF.replace(tzinfo=None) - timedelta(hours=3)
        for statement in _TROUBLE:
            cursor.execute(statement.format(fall="(HOUR(as_of) - 9)"), (since,))
        connection.commit()
