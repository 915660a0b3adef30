# SPDX-License-Identifier: MIT
"""The metrics that the application's database gives: one file a metric in ``include/sql/metrics``, one snapshot for all.

A metric that cannot be measured costs itself only: its sample says why.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from processing_time.model import ALL_COMPANIES, Collected, Loss, Sample, SourceUnavailable, Window
from processing_time.settings import Metric, Settings
from processing_time.sources import boundaries, distribution, error_budget, overlaps, queries, tally
from processing_time.sources import scope as scoping
from processing_time.sources.boundaries import Boundaries, Watermark
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.sources.queries import Query
from processing_time.sources.scope import Scope
from processing_time.sources.snapshot import (
    ConnectionLost,
    QueryFault,
    Row,
    Snapshot,
    StatementTimeout,
    snapshot,
)
from processing_time.timeline import Timeline

__all__ = ["IDS_SHOWN", "Watermark", "collect"]

IDS_SHOWN = 100
"""How many ids a sample's detail holds at most; the newest."""
TIMEOUTS = 2
"""After so many statements that took too long no further one is tried: the task has a time limit of its own."""


def collect(
    connect: Callable[[], Any],
    settings: Settings,
    timeline: Timeline,
    flags: FeatureFlags | SourceUnavailable,
    watermarks: Sequence[Watermark] = (),
) -> Collected:
    """Measure every enabled metric of the database, for all companies and for each that has a population.

    :param connect: gives a DB-API connection of mysqlclient or mysql-connector-python; closed before the return.
    :param flags: who may use processing time, or why nobody knows: what depends on it is then not measurable.
    :param watermarks: the highest ids that earlier checks saw, in any order.
    :return: samples, and the facts ``today``, ``sync_today``, ``traffic``, ``services``, ``boundary`` and
        ``watermark``; one that could not be had is None, the watermark of a backfill is left out.
    :raises SourceUnavailable: when the server cannot be reached, refuses access, holds none of the tables, or
        broke off before anything was measured.
    """
    chosen = {key: queries.read(f"metrics/{key}.sql") for key in settings.enabled("mysql")}
    with snapshot(connect, settings.schedule.statement_timeout) as opened:
        try:
            scope = _scope(opened, settings, flags, chosen.values())
        except (ConnectionLost, StatementTimeout) as broken:
            raise SourceUnavailable(str(broken)) from None
        except QueryFault as fault:
            return Collected(tuple(_lost(key, settings, timeline, fault) for key in chosen))
        return _Check(opened, settings, timeline, scope, watermarks).collect(chosen)


def _scope(
    opened: Snapshot, settings: Settings, flags: FeatureFlags | SourceUnavailable, chosen: Iterable[Query]
) -> Scope:
    """What there is and what counts; a user's own metric may need further tables."""
    tables = {table for query in chosen for table in query.tables}
    found = scoping.shape(opened, sorted({*scoping.TABLES, *tables}))
    return scoping.scope(opened, settings.application, flags, found)


def _lost(key: str, settings: Settings, timeline: Timeline, fault: QueryFault) -> Sample:
    window = timeline.window(settings.metrics[key])
    return Sample(key, window).lost(Loss.LOST, str(fault))


def _newest(ids: Sequence[int], counted: float) -> dict[str, Any]:
    shown = ids[:IDS_SHOWN]
    return {"ids": shown, "ids_left_out": counted - len(shown)}


def _failing(metric: Metric, sample: Sample) -> float:
    """How many appointments a sample has ids of: those that a rate misses, or those that a count counts."""
    counted = tally.number(sample.numerator)
    return tally.number(sample.denominator) - counted if metric.kind == "rate" else counted


class _Check:
    """One reading of the metrics."""

    def __init__(
        self,
        opened: Snapshot,
        settings: Settings,
        timeline: Timeline,
        scope: Scope,
        watermarks: Sequence[Watermark],
    ) -> None:
        self._snapshot, self._settings, self._timeline, self._scope = opened, settings, timeline, scope
        self._silence = Window(timeline.as_of - settings.silent_after, timeline.as_of)
        windows = [timeline.window(settings.metrics[key]) for key in settings.enabled("mysql")]
        earliest = min(window.start for window in (*windows, self._silence))
        self._boundaries = Boundaries(opened, timeline, watermarks, earliest)
        self._timeouts = 0
        self._given_up = ""

    def collect(self, chosen: Mapping[str, Query]) -> Collected:
        """Every metric, then the facts; raises SourceUnavailable when it broke off before any was measured."""
        found: list[Sample] = []
        mark = self._fact(partial(boundaries.watermark, self._snapshot, self._timeline.as_of))
        for key, query in chosen.items():
            window = self._timeline.window(self._settings.metrics[key])
            try:
                with self._guard():
                    found += self._measure(key, query, window)
            except QueryFault as fault:
                found.append(_lost(key, self._settings, self._timeline, fault))
        if self._given_up and all(sample.loss for sample in found):
            raise SourceUnavailable(self._given_up)
        return Collected(tuple(found), self._facts(found) | ({"watermark": mark} if mark else {}))

    def _measure(self, key: str, query: Query, window: Window) -> list[Sample]:
        metric = self._settings.metrics[key]
        nested = error_budget.identifiers(metric.budget)
        self._scope.require(query, {**self._scope.identifiers, **nested})
        bounded = "first_appointment" in query.parameters
        detail = {"boundary": self._boundaries.appointments(window.start).way} if bounded else {}
        ask = partial(self._ask, window)
        if key == "phase_distribution":
            counts = ask("context/appointments_with_phases.sql")
            phases = ask(query.path)
            return distribution.samples(key, window, self._scope.services, list(counts), phases, detail)
        if key == "overlapping_bookings":
            there = self._scope.shape.columns["appointments"]
            found = overlaps.find(key, self._scope.services, ask, there)
            return overlaps.samples(key, window, found, detail)
        if metric.budget is not None:
            starts = error_budget.starts(metric.budget, self._timeline)
            counted = self._snapshot.table(*self._statement(query, window, nested, starts))
            return error_budget.samples(Sample(key, window, detail=detail), metric, *counted)
        if metric.kind not in ("rate", "mean", "count"):
            raise QueryFault(
                f"metrics.{key}.kind = {metric.kind} has no rule for its rows: write rate, mean, count or burn_rate"
            )
        columns, rows = self._snapshot.table(*self._statement(query, window))
        samples = tally.samples(key, metric, window, columns, rows, detail)
        path = queries.about_failing(key, "ids")
        return self._with_ids(samples, ask, path) if path else samples

    def _with_ids(self, samples: list[Sample], ask: overlaps.Ask, path: str) -> list[Sample]:
        """The samples with the newest ids of what fails in them; for each company its own."""
        failing = {s.company_id: _failing(self._settings.metrics[s.metric], s) for s in samples}
        ids: dict[int, list[int]] = defaultdict(list)
        for company_id, id_ in ask(path) if failing[ALL_COMPANIES] else ():
            ids[ALL_COMPANIES].append(id_)
            if company_id:
                ids[int(company_id)].append(id_)
        return [
            replace(s, detail={**s.detail, **_newest(ids[s.company_id], failing[s.company_id])})
            for s in samples
        ]

    def _ask(
        self, window: Window, path: str, identifiers: Mapping[str, str] | None = None, **values: Any
    ) -> Iterator[Row]:
        """The rows of a file over a window; raises QueryFault and ConnectionLost as they are read."""
        return self._snapshot.stream(*self._statement(queries.read(path), window, identifiers, values))

    def _statement(
        self,
        query: Query,
        window: Window,
        identifiers: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """A file's statement over a window, and what is bound in it; the parameters are in the README beside the files."""
        names = {**self._scope.identifiers, **(identifiers or {})}
        self._scope.require(query, names)
        written = self._timeline.to_application
        known = {
            **self._scope.values,
            "window_start": written(window.start),
            "window_end": written(window.end),
            "grace_end": written(window.end - self._settings.application.grace),
            "pending_end": written(window.end - self._settings.application.pending_limit),
            "shown": IDS_SHOWN,
            **(values or {}),
        }
        if "first_appointment" in query.parameters:
            known.setdefault("first_appointment", self._boundaries.appointments(window.start).first)
        if "first_phase" in query.parameters:
            known.setdefault("first_phase", self._boundaries.phases(window.start))
        return queries.bind(query.statement(names), known, query.path)

    def _facts(self, found: Sequence[Sample]) -> dict[str, Any]:
        today = self._today("phase_creation_success_rate", found)
        sync = self._today("calcom_sync_success_rate", found)
        traffic = self._fact(lambda: list(self._ask(self._silence, "context/traffic.sql")))
        services = self._scope.services.values()
        eligible = self._scope.eligible
        return {
            "today": today and {"eligible": today.denominator, "with_phases": today.numerator},
            "sync_today": sync and {"eligible": sync.denominator, "synced": sync.numerator},
            "traffic": traffic and traffic[0][0],
            "services": {
                "with_processing_time": sum(s.has_processing_time for s in services),
                "eligible": None if isinstance(eligible, SourceUnavailable) else len(eligible),
            },
            "boundary": {"appointments": self._boundaries.ways},
        }

    def _today(self, key: str, found: Sequence[Sample]) -> Sample | None:
        """A metric over today, for all companies: measured already, or measured now."""
        window = self._timeline.windows["today"]
        known = [s for s in found if (s.metric, s.company_id, s.window) == (key, ALL_COMPANIES, window)]
        known = (
            known or self._fact(lambda: self._measure(key, queries.read(f"metrics/{key}.sql"), window)) or []
        )
        return known[0] if known and not known[0].loss else None

    def _fact(self, ask: Callable[[], Any]) -> Any:
        """What a question gives, or None when it has no answer."""
        with contextlib.suppress(QueryFault), self._guard():
            return ask()
        return None

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Once the connection has gone, or statements took too long, everything that follows has that fault."""
        if self._given_up:
            raise QueryFault(self._given_up)
        try:
            yield
        except ConnectionLost as lost:
            self._given_up = str(lost)
            raise QueryFault(self._given_up) from None
        except StatementTimeout:
            self._timeouts += 1
            if self._timeouts >= TIMEOUTS:
                self._given_up = (
                    f"{TIMEOUTS} statements took longer than schedule.statement_timeout, so no further one was tried:"
                    " raise that, or look at the indexes"
                )
            raise
