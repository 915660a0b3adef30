# SPDX-License-Identifier: MIT
"""The store's own schema on the test server: made anew, with a login that has no more than the documented grants."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import MySQLdb

SCHEMA = "processing_time_monitor"
LOGIN = {"user": "store_test", "password": "store-test"}


def fresh(mariadb: Any) -> Callable[[], Any]:
    """An empty schema; gives a function that connects to it."""
    with closing(mariadb.root()) as root, closing(root.cursor()) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {SCHEMA}")
        cursor.execute(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4")
        cursor.execute("CREATE USER IF NOT EXISTS store_test@'%' IDENTIFIED BY 'store-test'")
        cursor.execute(f"GRANT ALL ON {SCHEMA}.* TO store_test@'%'")
    return lambda: login(mariadb)


def emptied(connect: Callable[[], Any]) -> None:
    """Remove every row, which is quicker than a new schema."""
    with closing(connect()) as connection, closing(connection.cursor()) as cursor:
        for table in ("checks", "samples", "sightings", "alerts", "notifications"):
            cursor.execute(f"DELETE FROM {table}")
        connection.commit()


def login(mariadb: Any, **more: Any) -> Any:
    """A connection as the store's login; `more` overrides what it connects with."""
    given = {"host": getattr(mariadb, "host", "127.0.0.1"), "port": mariadb.port, "database": SCHEMA}
    return MySQLdb.connect(**{**given, **LOGIN, "charset": "utf8mb4", **more})
