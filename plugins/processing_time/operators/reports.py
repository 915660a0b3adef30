# SPDX-License-Identifier: MIT
"""The tasks of the reports: make one, keep it, and deliver what Slack is owed of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException

from processing_time.operators import run
from processing_time.operators.monitor import MonitorOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from processing_time.outbox import Notification
    from processing_time.reports.document import Report
    from processing_time.reports.language import Language
    from processing_time.reports.weekly_figures import Figures
    from processing_time.settings import Settings
    from processing_time.store_reports import Rolled

COMPANY = "company_id"


class ReportOperator(MonitorOperator):
    """What making a report needs beside rows and schema: a language, a place for pages."""

    def page(self, report: Report, language: Language, settings: Settings) -> bytes:
        """The report as a page; in the folder of the settings as well, where one is set.

        :raises AirflowException: when it cannot be written there.
        """
        from processing_time.reports import page

        content = page.render(replace(report, title=settings.titled(report.title)), language).encode()
        if settings.reports.html:
            place = f"{settings.reports.html.rstrip('/')}/{settings.dag_id(report.name)}.html"
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

        report = replace(report, name=settings.dag_id(report.name))
        base = settings.reports.html_url
        links = {language.say("Open the report"): f"{base.rstrip('/')}/{report.name}.html"} if base else {}
        return reports.notifications(report, settings, language, key, page=page, links=links, attach=not base)

    def show(self, notifications: Sequence[Notification]) -> None:
        """Write the messages to the task log."""
        texts = [n.payload["text"] for n in notifications if n.payload]
        self.log.info("\n%s", "\n\n".join(texts))


class WeeklyReportOperator(ReportOperator):
    """Make the weekly report; keep it and owe it to Slack when its seven days are a week from Monday on."""

    def part(self, context: Context) -> dict[str, Any]:
        """Give the week, how many rows were kept, and whether Slack is told.

        :raises SourceUnavailable: when the application's database cannot be used.
        :raises AirflowException: when the place for pages cannot be written to.
        """
        settings = self.settings()
        with self.reports:
            figures, kept = self._figures(context, settings)
            told = [] if run.backfill(context) else self._report(context, settings, figures)
            keep = figures.week.whole and not run.dry(context)
            rows = figures.rolled(kept, settings) if keep else []
            if keep:
                self._keep(figures, rows, told, settings)
            else:
                self.log.info("Shown only: a dry run, or seven days that are no week from Monday on.")
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
        from processing_time.store_reports import Period

        as_of, present = run.as_of(context, settings), run.present()
        reading = WeeklyReading(self.mysql(), self.store, self.reports, settings, as_of, present)
        try:
            figures = reading.figures(context["params"].get(COMPANY))
        except UnknownCompany as error:
            raise run.RefusedParam(str(error)) from None
        first = figures.week.first
        return figures, self.reports.read(Period.WEEKLY, first, first)

    def _keep(
        self,
        figures: Figures,
        rows: Sequence[Rolled],
        told: Sequence[Notification],
        settings: Settings,
    ) -> None:
        from processing_time.reports import weekly_trend
        from processing_time.store_reports import Period

        self.reports.save(
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


class DeliverOperator(MonitorOperator):
    """Deliver what Slack is owed: the report, and whatever else is still owed."""

    def part(self, context: Context) -> int:
        """Give how many messages were delivered; none in a dry run and in a backfill.

        :raises DeliveryError: when messages stay owed.
        """
        return 0 if run.dry(context) or run.backfill(context) else self.deliver(self.store.outbox)


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
