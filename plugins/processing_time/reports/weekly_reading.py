# SPDX-License-Identifier: MIT
"""Reads everything that a weekly report is about, each source once: the application's rows, its log, our own schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from processing_time.evaluation import believable, evaluate, flags_doubt
from processing_time.model import Collected, Sample, SourceUnavailable, Window
from processing_time.reports import monthly_history, weekly_figures, weekly_history, weekly_log, weekly_rows
from processing_time.reports.monthly_samples import Reading
from processing_time.reports.weekly_figures import Figures, Key
from processing_time.reports.weekly_log import Measured
from processing_time.reports.weekly_period import Week
from processing_time.reports.weekly_rows import Rows
from processing_time.reports.weekly_watch import blind_hours
from processing_time.settings import Settings
from processing_time.sources import feature_flags, laravel_log
from processing_time.sources.boundaries import Watermark
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.store import Store
from processing_time.store_reports import Period, ReportStore, Rolled
from processing_time.timeline import Timeline


class UnknownCompany(ValueError):
    """The application has no such company. The text says so, for the person who typed it."""


class WeeklyReading:
    """One reading of a week.

    :param connect: gives a DB-API connection to the application's database.
    :param history: our schema, as the checks write it.
    :param store: our schema, as the reports write it.
    :param as_of: the week is the seven days before its local midnight; UTC.
    :param present: the present time; UTC.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        history: Store,
        store: ReportStore,
        settings: Settings,
        as_of: datetime,
        present: datetime,
    ) -> None:
        self._connect, self._history, self._store = connect, history, store
        self._settings, self._present = settings, present
        self._week = Week.before(as_of, settings.zone)
        window = self._week.window
        self._timeline = Timeline(window.end, settings.zone, settings.application_zone, window.start)
        self._flags_of_checks = monthly_history.flags(store.session, Window(window.start, as_of))

    def figures(self, company_id: int | None = None) -> Figures:
        """The figures of the week, of all companies or of one.

        :raises UnknownCompany: when the application's rows hold no such company.
        :raises SourceUnavailable: when the application's rows cannot be read.
        """
        week, settings = self._week, self._settings
        flags = self._flags()
        rows = self._rows(flags)
        _refuse_unknown(company_id, rows)
        watch = weekly_history.watch(self._store.session, week.window)
        alerts = self._history.alerts(week.window.start, week.window.end)
        return Figures(
            week=week,
            rows=rows,
            company_id=company_id,
            measured=self._measured(rows, company_id),
            before=self._before(rows),
            alerts=[a for a in alerts if company_id in (None, a.company_id)],
            blind=blind_hours(watch, week.window, settings.schedule.health_check, settings.zone),
            watched=watch.first is not None and watch.first < week.window.end,
            doubts=self._doubts(flags),
        )

    def _flags(self) -> FeatureFlags | SourceUnavailable:
        """Those that the last check was made with; where there was none, those of now."""
        if self._flags_of_checks:
            return FeatureFlags.from_json(self._flags_of_checks[-1][1])
        try:
            return feature_flags.read(self._settings.application.env_file)
        except SourceUnavailable as error:
            return error

    def _doubts(self, flags: FeatureFlags | SourceUnavailable) -> tuple[str, ...]:
        if isinstance(flags, SourceUnavailable):
            return ()
        doubt = flags_doubt(
            flags.to_json(),
            self._flags_of_checks,
            self._week.window,
            self._timeline,
            self._settings,
            self._present,
        )
        return (doubt,) if doubt else ()

    def _rows(self, flags: FeatureFlags | SourceUnavailable) -> Rows:
        marks = [
            Watermark(at, ids["appointments"], ids["phases"])
            for week in (self._week.previous, self._week)
            for at, ids in self._history.watermarks(week.window.start)
        ]
        return weekly_rows.read(self._connect, self._settings, self._week, flags, marks)

    def _measured(self, rows: Rows, company_id: int | None) -> dict[Key, Measured]:
        samples = weekly_figures.measure(rows.counted[1], self._week.window, self._settings)
        measured = [Measured(sample, 0 if sample.loss else 1) for sample in samples]
        if company_id is None:  # the log does not tell companies apart
            measured += weekly_log.choose(self._week, self._log(), self._readings(self._week), self._settings)
        return {(m.sample.metric, m.sample.company_id): m for m in measured}

    def _log(self) -> Mapping[str, Sample] | str:
        """By metric and rule, what the log holds of exactly this week and can be believed; or why it is not read."""
        settings, timeline = self._settings, self._timeline
        if settings.application.log_hosts:  # the checks have put their logs together already
            return "no check of the week measured it"
        if not settings.enabled("log"):
            return {}
        try:
            collected: Collected | str = laravel_log.collect(settings, timeline, present=self._present)
        except SourceUnavailable as error:
            return str(error)
        memory = self._history.memory(timeline.as_of)
        # What spoke at any time of the week was alive in it: many are closed on its last days.
        settings = settings.model_copy(update={"silent_after": self._week.window.length})
        given = believable({"log": collected}, memory, settings, timeline.as_of)
        verdicts = evaluate(given, {}, memory, settings, timeline, self._present)
        wanted = set(settings.enabled("log"))
        return {v.metric: v.sample for v in verdicts if v.metric in wanted}

    def _readings(self, week: Week) -> Sequence[Reading]:
        return monthly_history.readings(self._store.session, week.window, self._settings.enabled("log"))

    def _before(self, rows: Rows) -> dict[Key, Rolled]:
        """The week before: as it was kept; what was not, as it is measured now."""
        week = self._week.previous
        samples = weekly_figures.measure(rows.counted[0], week.window, self._settings)
        known = [weekly_figures.rolled(week.first, Measured(s)) for s in samples if not s.loss]
        known += weekly_log.before(week, self._readings(week), self._settings)
        known += [r for r in self._store.read(Period.WEEKLY, week.first, week.first) if r.samples]
        return {row.key: row for row in known}


def _refuse_unknown(company_id: int | None, rows: Rows) -> None:
    if company_id is None:
        return
    known = {s.company_id for s in rows.counted[1].services.values()}
    if company_id not in known:
        raise UnknownCompany(
            f"company_id = {company_id} has no service in the application: give one that has, or none for all"
        )
