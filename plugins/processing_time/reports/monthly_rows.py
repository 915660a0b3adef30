# SPDX-License-Identifier: MIT
"""Reads a month from the application's rows: every metric of the database, and who uses the feature.

The appointments of the month and their phases are read once, and added up by the server. A second statement gives the
phases that leave the staff free, and the bookings at those times, in the order of time; of these only the phases that
still last are held here. So memory grows with services and staff and not with appointments.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from processing_time.model import ALL_COMPANIES, Loss, Sample, SourceUnavailable, Window
from processing_time.reports.monthly_figures import FIGURES, Counted, Id, Use, tallied
from processing_time.settings import Metric, Settings
from processing_time.sources import queries
from processing_time.sources import scope as scoping
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.sources.overlaps import stretches
from processing_time.sources.queries import Query
from processing_time.sources.scope import PHASE_TYPES, Scope
from processing_time.sources.snapshot import (
    ConnectionLost,
    QueryFault,
    Row,
    Snapshot,
    StatementTimeout,
    snapshot,
)

APPOINTMENTS = "reports/monthly_appointments.sql"
OVERLAPS = "reports/monthly_overlaps.sql"
NAMES = "reports/service_names.sql"
GAP = timedelta(days=1)
"""Times without any phase that are longer are left out."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What the rows tell about a month.

    :param samples: by metric and company; one that cannot be measured says why.
    :param counted: what they come out of; None when that could not be read.
    :param names: of the services; empty where they have none.
    """

    samples: tuple[Sample, ...]
    counted: Counted | None
    names: Mapping[Id, str] = field(default_factory=dict)


def read(
    connect: Callable[[], Any],
    settings: Settings,
    window: Window,
    flags: FeatureFlags | SourceUnavailable,
    statement_timeout: timedelta,
) -> Rows:
    """Read a month, in one read-only snapshot.

    :param connect: gives a DB-API connection of mysqlclient or mysql-connector-python; closed before the return.
    :param window: the month; aware, in UTC.
    :param flags: who may use processing time, or why nobody knows: what depends on it is then not measurable.
    :raises SourceUnavailable: when the server cannot be reached, refuses access, breaks off or takes too long.
    """
    metrics = {key: settings.metrics[key] for key in settings.enabled("mysql")}
    with snapshot(lambda: _streaming(connect()), statement_timeout) as opened:
        try:
            own = [queries.read(f"metrics/{key}.sql") for key in metrics if key not in FIGURES]
            tables = {table for query in own for table in query.tables}
            found = scoping.shape(opened, sorted({*scoping.TABLES, *tables}))
            scope = scoping.scope(opened, settings.application, flags, found)
            return _Month(opened, settings, scope, window).read(metrics)
        except (ConnectionLost, StatementTimeout) as broken:
            raise SourceUnavailable(str(broken)) from None
        except QueryFault as fault:
            return Rows(tuple(Sample(key, window).lost(Loss.LOST, str(fault)) for key in metrics), None)


def _streaming(connection: Any) -> Any:
    """The connection, with cursors that do not hold a whole result here; those of the other driver never do."""
    if "MySQLdb" in sys.modules:
        from MySQLdb.cursors import SSCursor

        connection.cursorclass = SSCursor
    return connection


class _Month:
    """One reading; every method raises as ``Snapshot.rows``."""

    def __init__(self, opened: Snapshot, settings: Settings, scope: Scope, window: Window) -> None:
        self._snapshot, self._settings, self._scope, self._window = opened, settings, scope, window
        column = settings.application.sync_status_column
        self._without_sync = (
            f"appointments has no column {column}: set application.sync_status_column"
            if scope.shape.missing("appointments", [column])
            else ""
        )

    def read(self, metrics: Mapping[str, Metric]) -> Rows:
        uses, first, free = self._appointments()
        counted = Counted(self._scope.services, self._scope.eligible, uses, without_sync=self._without_sync)
        if "overlapping_bookings" in metrics:
            found: Counter[int] = Counter()
            for starts, ends in stretches(free, GAP):
                found += overlapping(
                    self._ask(OVERLAPS, first_appointment=first, range_start=starts, range_end=ends),
                    counted.company,
                )
            counted = replace(counted, overlapping=found)
        samples = [s for key, metric in metrics.items() for s in self._samples(key, metric, counted, first)]
        return Rows(tuple(samples), counted, self._names())

    def _names(self) -> dict[Id, str]:
        if not self._scope.shape.has("services", "name"):
            return {}
        return {id_: str(name) for id_, name in self._ask(NAMES) if name is not None}

    def _appointments(self) -> tuple[dict[Id | None, Use], int, list[tuple[datetime, datetime]]]:
        """What there is by service, the lowest id, and when phases last that leave the staff free."""
        uses: dict[Id | None, Use] = defaultdict(Use)
        deleted = frozenset(self._scope.values["deleted_services"])
        ids, free = [], []
        for service_id, _, first, *counts, starts, ends in self._ask(APPOINTMENTS):
            ids.append(int(first))
            if service_id in deleted:
                continue
            appointments, synced, with_phases, own, leaving_free, phases, *by_type = map(int, counts)
            types = Counter(dict(zip(PHASE_TYPES, by_type, strict=True)))
            types["other"] = phases - types.total()
            known = service_id if service_id in self._scope.services else None
            uses[known].add(Use(appointments, synced, with_phases, own, leaving_free, types))
            if starts is not None and ends is not None and starts < ends:
                free.append((starts, ends))
        return dict(uses), min(ids, default=0), free

    def _samples(self, key: str, metric: Metric, counted: Counted, first: int) -> list[Sample]:
        try:
            if key in FIGURES:
                return FIGURES[key](key, metric, self._window, counted)
            query = queries.read(f"metrics/{key}.sql")
            # An error budget's windows all become the month.
            nested = {"windows_held": "1"} if metric.budget is not None else {}
            asked = self._statement(query, nested, first_appointment=first, first_phase=0)
            return tallied(key, metric, self._window, *self._snapshot.table(*asked))
        except StatementTimeout:
            raise
        except QueryFault as fault:
            return [Sample(key, self._window).lost(Loss.LOST, str(fault))]

    def _ask(self, path: str, **values: Any) -> Iterator[Row]:
        return self._snapshot.stream(*self._statement(queries.read(path), {}, **values))

    def _statement(
        self, query: Query, identifiers: Mapping[str, str], **values: Any
    ) -> tuple[str, dict[str, Any]]:
        names = {**self._scope.identifiers, **identifiers}
        start, end = (self._written(instant) for instant in (self._window.start, self._window.end))
        # The month is over: nothing in it is still in the making, so there is no grace.
        ends = dict.fromkeys(("window_end", "grace_end", "pending_end"), end)
        known = {**self._scope.values, "window_start": start, **ends, "shown": 0, **values}
        if query.path == APPOINTMENTS and self._without_sync:
            # Nothing is in an empty list; the metric itself says what is missing.
            names["sync_status_column"], known["synced_values"] = "id", []
        self._scope.require(query, names)
        return queries.bind(query.statement(names), known, query.path)

    def _written(self, instant: datetime) -> datetime:
        return instant.astimezone(self._settings.application_zone).replace(tzinfo=None)


def overlapping(rows: Iterable[Row], company_of: Callable[[Id | None], int | None]) -> Counter[int]:
    """The distinct bookings that start in a phase of another appointment of the same staff, by its company and for all.

    :param rows: id, service, staff, start and end, by start; a booking has no end and comes after the phases that start
        with it.
    """
    lasting: dict[str, list[tuple[int, int, int | None]]] = {}
    found: Counter[int] = Counter()
    for id_, service_id, staff_id, starts, ends in rows:
        if ends is None and staff_id not in lasting:
            continue
        there = [phase for phase in lasting.get(staff_id, ()) if phase[0] > starts]
        if ends is not None:
            there.append((ends, id_, company_of(service_id)))
        elif companies := {company_id for _, outer, company_id in there if outer != id_}:
            found.update({ALL_COMPANIES, *(c for c in companies if c is not None)})
        lasting[staff_id] = there
    return found
