# SPDX-License-Identifier: MIT
"""The tasks of the reports: make one, keep it, and deliver what Slack is owed of it."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from processing_time.operators import connections, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from processing_time.outbox import Notification
    from processing_time.reports.document import Report
    from processing_time.reports.language import Language
    from processing_time.reports.weekly_figures import Figures
    from processing_time.settings import Settings
    from processing_time.store_reports import ReportStore, Rolled

COMPANY = "company_id"


class ReportOperator(BaseOperator):
    """What making a report needs: the application's rows, our own schema, a language, a place for pages.

    :param mysql_conn_id: mysql connection of the application's database.
    :param store_conn_id: mysql connection of our own schema.
    """

    template_fields: Sequence[str] = ("mysql_conn_id", "store_conn_id")

    def __init__(
        self,
        *,
        mysql_conn_id: str = connections.MYSQL,
        store_conn_id: str = connections.STORE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mysql_conn_id = mysql_conn_id
        self.store_conn_id = store_conn_id

    @cached_property
    def store(self) -> ReportStore:
        """Our own schema."""
        from processing_time.store_reports import ReportStore

        return ReportStore(connections.mysql_connect(self.store_conn_id))

    def page(self, report: Report, language: Language, settings: Settings) -> bytes:
        """The report as a page; in the folder of the settings as well, where one is set.

        :raises AirflowException: when it cannot be written there.
        """
        from processing_time.reports import page

        content = page.render(report, language).encode()
        if settings.reports.html:
            place = f"{settings.reports.html.rstrip('/')}/{report.name}.html"
            _write(place, content)
            self.log.info("The page is at %s", place)
        return content

    def messages(
        self, report: Report, language: Language, settings: Settings, key: str, page: bytes
    ) -> list[Notification]:
        """What Slack is owed of the report.

        :param key: says which report of which period it is.
        """
        from processing_time.messages import reports

        base = settings.reports.html_url
        links = {language.say("Open the report"): f"{base.rstrip('/')}/{report.name}.html"} if base else {}
        return reports.notifications(report, language, key, page=page, links=links, attach=not base)

    def show(self, notifications: Sequence[Notification]) -> None:
        """Write the messages to the task log."""
        texts = [n.payload["text"] for n in notifications if n.payload]
        self.log.info("\n%s", "\n\n".join(texts))


class WeeklyReportOperator(ReportOperator):
    """Make the weekly report; keep it and owe it to Slack when its seven days are a week from Monday on."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Give the week, how many rows were kept, and whether Slack is told.

        :raises AirflowException: when the application's database, the store, or the place for pages cannot be used.
        """
        from processing_time.model import SourceUnavailable
        from processing_time.store_session import StoreError

        settings = run.settings()
        try:
            with self.store as store:
                figures, kept = self._figures(context, settings)
                told = [] if run.backfill(context) else self._report(context, settings, figures)
                keep = figures.week.whole and not run.dry(context)
                rows = figures.rolled(kept, settings) if keep else []
                if keep:
                    self._keep(store, figures, rows, told, settings)
                else:
                    self.log.info("Shown only: a dry run, or seven days that are no week from Monday on.")
        except (SourceUnavailable, StoreError) as error:
            raise AirflowException(str(error)) from None
        return {
            "period_start": figures.week.first.isoformat(),
            "rows": len(rows),
            "told": bool(told) and keep,
        }

    def _report(self, context: Context, settings: Settings, figures: Figures) -> list[Notification]:
        """What Slack is owed; the page is written on the way, but not by a dry run."""
        from processing_time.reports import weekly
        from processing_time.reports.language import Language

        language = Language(settings.reports.language, settings.zone)
        made = weekly.report(figures, settings, language, run.as_of(context, settings))
        page = b"" if run.dry(context) else self.page(made, language, settings)
        owed = self.messages(made, language, settings, made.name.replace("-", "/", 1), page)
        self.show(owed)
        return owed

    def _figures(self, context: Context, settings: Settings) -> tuple[Figures, Sequence[Rolled]]:
        from processing_time.reports.weekly_reading import UnknownCompany, WeeklyReading
        from processing_time.store import Store
        from processing_time.store_reports import Period

        with Store(connections.mysql_connect(self.store_conn_id)) as history:
            reading = WeeklyReading(
                connections.mysql_connect(self.mysql_conn_id),
                history,
                self.store,
                settings,
                run.as_of(context, settings),
                run.present(),
            )
            try:
                figures = reading.figures(context["params"].get(COMPANY))
            except UnknownCompany as error:
                raise run.RefusedParam(str(error)) from None
        first = figures.week.first
        return figures, self.store.read(Period.WEEKLY, first, first)

    def _keep(
        self,
        store: ReportStore,
        figures: Figures,
        rows: Sequence[Rolled],
        told: Sequence[Notification],
        settings: Settings,
    ) -> None:
        from processing_time.reports import weekly_trend
        from processing_time.store_reports import Period

        store.save(
            Period.WEEKLY,
            figures.week.first,
            rows,
            lambda history: weekly_trend.trend(history, settings),
            reach=weekly_trend.REACH,
            company_id=figures.company_id,
            notifications=told,
            at=run.present(),
        )
        self.log.info("Kept %d rows of the week of %s", len(rows), figures.week.first)


class DeliverOperator(BaseOperator):
    """Deliver what Slack is owed: the report, and whatever else is still owed.

    :param store_conn_id: mysql connection of our own schema.
    :param slack_conn_id: slack connection with a bot token; ``base_url`` in its extra is honoured.
    """

    template_fields: Sequence[str] = ("store_conn_id", "slack_conn_id")

    def __init__(
        self,
        *,
        store_conn_id: str = connections.STORE,
        slack_conn_id: str = connections.SLACK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store_conn_id = store_conn_id
        self.slack_conn_id = slack_conn_id

    def execute(self, context: Context) -> int:
        """Give how many messages were delivered; none in a dry run and in a backfill.

        :raises AirflowException: when the store cannot be used, or messages stay owed.
        """
        from airflow.sdk.exceptions import AirflowNotFoundException

        from processing_time.delivery import DeliveryError, deliver
        from processing_time.slack_calls import Slack
        from processing_time.store_reports import ReportStore
        from processing_time.store_session import StoreError

        if run.dry(context) or run.backfill(context):
            return 0
        try:
            with ReportStore(connections.mysql_connect(self.store_conn_id)) as store:
                if not store.outbox.due(run.present()):
                    return 0
                slack = Slack(connections.slack_client(self.slack_conn_id), time.sleep)
                return deliver(store.outbox, slack, run.settings(), clock=run.present, sleep=time.sleep)
        except AirflowNotFoundException:
            raise AirflowException(
                f"there is no connection {self.slack_conn_id}: add it with type slack and the bot token, xoxb-…, as"
                " its password"
            ) from None
        except (DeliveryError, StoreError) as error:
            raise AirflowException(str(error)) from None


def _write(place: str, content: bytes) -> None:
    """Write a page to a folder of this machine or to an object store of Airflow's.

    :raises AirflowException: when it cannot be written.
    """
    from airflow.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except (OSError, ImportError, ValueError) as error:
        raise AirflowException(
            f"{place} cannot be written ({type(error).__name__}): check reports.html, and the connection or the provider"
            " package of that store"
        ) from None
