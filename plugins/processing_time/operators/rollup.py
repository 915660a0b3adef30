# SPDX-License-Identifier: MIT
"""The tasks of the monthly rollup that are its own: roll a month up and report on it, remove what was kept long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processing_time.operators import run
from processing_time.operators.monitor import MonitorOperator
from processing_time.operators.reports import ReportOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from processing_time.model import SourceUnavailable
    from processing_time.outbox import Notification
    from processing_time.reports.monthly_rollup import Rollup
    from processing_time.settings import Settings
    from processing_time.sources.feature_flags import FeatureFlags
    from processing_time.store_reports import Rolled


class MonthlyRollupOperator(ReportOperator):
    """Roll the last month that is over up into ``monthly``, and owe Slack the report on it; a backfill tells nobody."""

    def part(self, context: Context) -> dict[str, Any]:
        """Give the month, how many rows it has, whether they are kept and whether Slack is told.

        :raises SourceUnavailable: when the application's database cannot be used.
        :raises AirflowException: when the place for pages cannot be written to.
        """
        from processing_time.reports import monthly

        settings, present = self.settings(), run.present()
        with self.reports as store:
            rollup, history = monthly.measure(
                store,
                self.mysql(),
                settings,
                run.as_of(context, settings),
                present,
                lambda: _flags(settings),
            )
            told = [] if run.backfill(context) else self._report(context, settings, rollup, history)
            if run.dry(context):
                self.log.info("A dry run: nothing is kept.")
            else:
                monthly.keep(store, rollup, told, present)
                self.log.info("Kept %d rows of %s", len(rollup.rows), f"{rollup.month:%Y-%m}")
        for metric, reason in rollup.lost.items():
            self.log.warning("%s could not be measured: %s", metric, reason)
        return {
            "period_start": rollup.month.isoformat(),
            "rows": len(rollup.rows),
            "kept": not run.dry(context),
            "told": bool(told) and not run.dry(context),
        }

    def _report(
        self, context: Context, settings: Settings, rollup: Rollup, history: Sequence[Rolled]
    ) -> list[Notification]:
        """What Slack is owed; the page is written on the way, but not by a dry run."""
        from processing_time.reports.language import Language
        from processing_time.reports.monthly_report import report

        language = Language(settings.reports.language, settings.zone)
        made = report(rollup, history, settings, language)
        page = b"" if run.dry(context) else self.page(made, language, settings)
        owed = self.messages(made, language, settings, f"monthly/{rollup.month:%Y-%m}", page)
        self.show(owed)
        return owed


class RetentionOperator(MonitorOperator):
    """Remove what the settings no longer keep: samples of months that are rolled up, and what is settled."""

    def part(self, context: Context) -> dict[str, Any]:
        """Give how many rows of each table went, and why samples were held back; a dry run removes nothing."""
        from processing_time.reports import retention

        if run.dry(context):
            self.log.info("A dry run: nothing is removed.")
            return {}
        settings = self.settings()
        with self.reports as store:
            removed = retention.remove(store, settings, run.as_of(context, settings))
        if removed.held_back:
            self.log.warning("%s", removed.held_back)
        return removed.to_json()


def _flags(settings: Settings) -> FeatureFlags | SourceUnavailable:
    """The feature flags of now, or why they cannot be read."""
    from processing_time.model import SourceUnavailable
    from processing_time.sources import feature_flags

    try:
        return feature_flags.read(settings.application.env_file)
    except SourceUnavailable as error:
        return error
