# SPDX-License-Identifier: MIT
"""Reads two weeks from the application's rows, in one snapshot: what the report says of this one and the one before.

Appointments and their phases are read once, added up by service and day; only the bookings inside processing phases
are looked for week by week.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from processing_time.model import ALL_COMPANIES, SourceUnavailable, Window
from processing_time.reports.monthly_figures import Counted, Id, Use
from processing_time.reports.weekly_period import DAYS, Week
from processing_time.settings import Settings
from processing_time.sources import overlaps, queries
from processing_time.sources import scope as scoping
from processing_time.sources.boundaries import Boundaries, Watermark
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.sources.overlaps import Found
from processing_time.sources.scope import PHASE_TYPES, Scope
from processing_time.sources.snapshot import (
    ConnectionLost,
    QueryFault,
    Row,
    Snapshot,
    StatementTimeout,
    snapshot,
)
from processing_time.timeline import Timeline

APPOINTMENTS = "reports/weekly_appointments.sql"
OVERLAPS = "overlapping_bookings"
IDS_SHOWN = 20
"""How many ids of appointments without phases are shown."""
PORTION = 1_000
"""Bookings that one statement asks about."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking inside a processing phase: the local day on which it starts, and its service."""

    day: date
    service_id: Id | None


@dataclass(frozen=True, slots=True)
class Rows:
    """What the rows tell of two weeks.

    :param days: what was counted on each day, the week before first: 14 of them.
    :param overlapping: by week, the week before first.
    :param bookings: the bookings inside processing phases of this week's appointments, by id.
    :param orphans: the newest ids of eligible appointments without phases, with their companies.
    :param names: of the services; empty where they have none.
    :param took: how long each statement took, in seconds.
    """

    counted: tuple[Counted, Counted]
    days: tuple[Counted, ...]
    overlapping: tuple[Found, Found]
    bookings: Mapping[int, Booking]
    orphans: Sequence[tuple[int | None, int]]
    names: Mapping[Id, str]
    took: Sequence[float] = field(default_factory=tuple)


def read(
    connect: Callable[[], Any],
    settings: Settings,
    week: Week,
    flags: FeatureFlags | SourceUnavailable,
    watermarks: Sequence[Watermark] = (),
    stopwatch: Callable[[], float] = time.perf_counter,
) -> Rows:
    """Read a week and the one before, in one read-only snapshot.

    :param connect: gives a DB-API connection of mysqlclient or mysql-connector-python; closed before the return.
    :param flags: who may use processing time, or why nobody knows: what depends on it is then not measurable.
    :param watermarks: the highest ids that earlier checks saw.
    :param stopwatch: seconds, for telling how long our statements take.
    :raises SourceUnavailable: when the rows cannot be read; in the words of what is missing.
    """
    with snapshot(connect, settings.schedule.statement_timeout) as opened:
        try:
            found = scoping.shape(opened, scoping.TABLES)
            scope = scoping.scope(opened, settings.application, flags, found)
            return _Reading(opened, settings, scope, week, watermarks, stopwatch).read()
        except (ConnectionLost, StatementTimeout, QueryFault) as broken:
            raise SourceUnavailable(str(broken)) from None


class _Reading:
    """One reading; every method raises as ``Snapshot.rows``."""

    def __init__(
        self,
        opened: Snapshot,
        settings: Settings,
        scope: Scope,
        week: Week,
        watermarks: Sequence[Watermark],
        stopwatch: Callable[[], float],
    ) -> None:
        self._snapshot, self._settings, self._scope, self._week = opened, settings, scope, week
        self._stopwatch, self._took = stopwatch, list[float]()
        both = Window(week.previous.window.start, week.window.end)
        self._timeline = Timeline(both.end, settings.zone, settings.application_zone, both.start)
        self._both = both
        self._boundaries = Boundaries(opened, self._timeline, watermarks, both.start)
        column = settings.application.sync_status_column
        self._without_sync = (
            f"appointments has no column {column}: set application.sync_status_column"
            if scope.shape.missing("appointments", [column])
            else ""
        )

    def read(self) -> Rows:
        days = self._appointments()
        found = [self._overlaps(week) for week in (self._week.previous, self._week)]
        counted = [
            self._counted(_together(own), overlapping)
            for own, overlapping in zip((days[:DAYS], days[DAYS:]), found, strict=True)
        ]
        return Rows(
            counted=(counted[0], counted[1]),
            days=tuple(self._counted(uses) for uses in days),
            overlapping=(found[0], found[1]),
            bookings=self._bookings(sorted(found[1].inner.get(ALL_COMPANIES, ()))),
            orphans=self._orphans(),
            names=self._names(),
            took=self._took,
        )

    def _counted(self, uses: Mapping[Id | None, Use], found: Found | None = None) -> Counted:
        inner = {c: len(ids) for c, ids in found.inner.items()} if found else {}
        return Counted(
            self._scope.services,
            self._scope.eligible,
            uses,
            overlapping=Counter(inner),
            without_sync=self._without_sync,
        )

    def _appointments(self) -> list[dict[Id | None, Use]]:
        """What there is on each of the 14 days, by service."""
        edges = [day.start for week in (self._week.previous, self._week) for day in week.days]
        bounds = {f"day_{n}": self._timeline.to_application(edge) for n, edge in enumerate(edges)}
        days: list[dict[Id | None, Use]] = [defaultdict(Use) for _ in edges]
        for service_id, day, *counts in self._rows(APPOINTMENTS, self._both, **bounds):
            appointments, synced, with_phases, own, free, phases, *by_type = map(int, counts)
            types = Counter(dict(zip(PHASE_TYPES, by_type, strict=True)))
            types["other"] = phases - types.total()
            known = service_id if service_id in self._scope.services else None
            days[int(day)][known].add(Use(appointments, synced, with_phases, own, free, types))
        return days

    def _overlaps(self, week: Week) -> Found:
        ask = partial(self._ask, window=week.window)
        there = self._scope.shape.columns["appointments"]
        return overlaps.find(OVERLAPS, self._scope.services, ask, there)

    def _bookings(self, ids: Sequence[int]) -> dict[int, Booking]:
        found = {}
        for at in range(0, len(ids), PORTION):
            some = ids[at : at + PORTION]
            for id_, service_id, starts_at in self._rows(
                "reports/weekly_bookings.sql", self._both, bookings=some
            ):
                local = self._timeline.from_application(starts_at).astimezone(self._week.zone)
                found[id_] = Booking(local.date(), service_id)
        return found

    def _orphans(self) -> list[tuple[int | None, int]]:
        if isinstance(self._scope.eligible, SourceUnavailable):
            return []
        return [(c, id_) for c, id_ in self._rows("context/orphaned_appointments_ids.sql", self._week.window)]

    def _names(self) -> dict[Id, str]:
        if not self._scope.shape.has("services", "name"):
            return {}
        rows = self._rows("reports/service_names.sql", self._both)
        return {id_: str(name) for id_, name in rows if name is not None}

    def _rows(self, path: str, window: Window, **values: Any) -> list[Row]:
        began = self._stopwatch()
        rows = list(self._ask(path, window=window, **values))
        self._took.append(self._stopwatch() - began)
        return rows

    def _ask(
        self, path: str, identifiers: Mapping[str, str] | None = None, *, window: Window, **values: Any
    ) -> Iterator[Row]:
        query = queries.read(path)
        names = {**self._scope.identifiers, **(identifiers or {})}
        known = {**self._scope.values, **self._bounds(window), "shown": IDS_SHOWN, **values}
        if path == APPOINTMENTS and self._without_sync:
            # Nothing is in an empty list; the metric itself says what is missing.
            names["sync_status_column"] = "id"
            known["synced_values"] = []
        self._scope.require(query, names)
        if "first_appointment" in query.parameters:
            known.setdefault("first_appointment", self._boundaries.appointments(window.start).first)
        if "first_phase" in query.parameters:
            known.setdefault("first_phase", self._boundaries.phases(window.start))
        return self._snapshot.stream(*queries.bind(query.statement(names), known, path))

    def _bounds(self, window: Window) -> dict[str, datetime]:
        """The week is over: nothing in it is still in the making, so there is no grace."""
        start, end = map(self._timeline.to_application, (window.start, window.end))
        return {"window_start": start, "window_end": end, "grace_end": end}


def _together(days: Sequence[Mapping[Id | None, Use]]) -> dict[Id | None, Use]:
    uses: dict[Id | None, Use] = defaultdict(Use)
    for day in days:
        for service_id, use in day.items():
            uses[service_id].add(use)
    return dict(uses)
