# SPDX-License-Identifier: MIT
"""The tasks of the monthly rollup that are its own: roll a month up and report on it, remove what was kept long enough."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from processing_time.operators import connections, run
from processing_time.operators.reports import ReportOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from processing_time.model import SourceUnavailable
    from processing_time.outbox import Notification
    from processing_time.reports.monthly_rollup import Rollup
    from processing_time.settings import Settings
    from processing_time.sources.feature_flags import FeatureFlags
    from processing_time.store_reports import ReportStore, Rolled


class MonthlyRollupOperator(ReportOperator):
    """Roll the last month that is over up into ``monthly``, and owe Slack the report on it; a backfill tells nobody."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Give the month, how many rows it has, whether they are kept and whether Slack is told.

        :raises AirflowException: when the application's database, the store, or the place for pages cannot be used.
        """
        from processing_time.model import SourceUnavailable
        from processing_time.reports import monthly
        from processing_time.store_session import StoreError

        settings, present = run.settings(), run.present()
        try:
            with self.store as store:
                rollup, history = monthly.measure(
                    store,
                    connections.mysql_connect(self.mysql_conn_id),
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
        except (SourceUnavailable, StoreError) as error:
            raise AirflowException(str(error)) from None
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


class RetentionOperator(BaseOperator):
    """Remove what the settings no longer keep: samples of months that are rolled up, and what is settled.

    :param store_conn_id: mysql connection of our own schema.
    """

    template_fields: Sequence[str] = ("store_conn_id",)

    def __init__(self, *, store_conn_id: str = connections.STORE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store_conn_id = store_conn_id

    @cached_property
    def store(self) -> ReportStore:
        """Our own schema."""
        from processing_time.store_reports import ReportStore

        return ReportStore(connections.mysql_connect(self.store_conn_id))

    def execute(self, context: Context) -> dict[str, Any]:
        """Give how many rows of each table went, and why samples were held back; a dry run removes nothing.

        :raises AirflowException: when the store cannot be used.
        """
        from processing_time.reports import retention
        from processing_time.store_session import StoreError

        if run.dry(context):
            self.log.info("A dry run: nothing is removed.")
            return {}
        settings = run.settings()
        try:
            with self.store as store:
                removed = retention.remove(store, settings, run.as_of(context, settings))
        except StoreError as error:
            raise AirflowException(str(error)) from None
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
