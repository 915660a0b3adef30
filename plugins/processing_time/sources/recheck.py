# SPDX-License-Identifier: MIT
"""Asks the application again about the appointments that an open alert was about, whatever window they are in by now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from processing_time.model import Alert, SourceUnavailable
from processing_time.settings import Settings
from processing_time.sources import queries
from processing_time.sources import scope as scoping
from processing_time.sources.scope import Scope
from processing_time.sources.snapshot import ConnectionLost, QueryFault, Snapshot, snapshot

log = logging.getLogger(__name__)

Left = dict[tuple[str, int], tuple[int, int]]


def still_failing(connect: Callable[[], Any], settings: Settings, alerts: Iterable[Alert]) -> Left:
    """By rule and company: how many of an alert's recorded appointments are still failing, and of how many.

    An alert that cannot be asked about is missing in the answer, and the log says why: it then stays open if that
    matters. Nothing is asked when no alert has appointments.

    :param connect: gives a DB-API connection to the application's database; closed before the return.
    """
    asked = [(a, path) for a in alerts if a.subjects and (path := queries.about_failing(a.rule, "again"))]
    if not asked:
        return {}
    left: Left = {}
    try:
        with snapshot(connect, settings.schedule.statement_timeout) as opened:
            unasked = SourceUnavailable("the feature flags do not matter here")
            found = scoping.shape(opened, scoping.TABLES)
            scope = scoping.scope(opened, settings.application, unasked, found)
            for alert, path in asked:
                left[alert.key] = (_count(opened, scope, alert, path), len(alert.subjects))
    except (SourceUnavailable, QueryFault, ConnectionLost) as error:
        log.warning("The appointments of open alerts could not be asked about again: %s", error)
    return left


def _count(opened: Snapshot, scope: Scope, alert: Alert, path: str) -> int:
    query = queries.read(path)
    scope.require(query, scope.identifiers)
    values = {**scope.values, "subjects": alert.subjects}
    rows = opened.rows(*queries.bind(query.statement(scope.identifiers), values, query.path))
    return int(rows[0][0])
