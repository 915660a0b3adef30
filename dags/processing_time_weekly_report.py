# SPDX-License-Identifier: MIT
"""
### Processing Time: weekly report

Every Monday at 08:30 Europe/Berlin: how the week from Monday to Sunday went, beside the week before. Whether appointments
got their phases and Cal.com was told, who uses the feature, which alerts there were, when monitoring was blind.

**What it does.** `report` reads the application's rows, its log and our own history once, over the seven days before the midnight
of `as_of`; keeps the figures in the table `weekly`; owes Slack one message with a chart, and the details in its thread; and
writes the same as a page where `reports.html` says. `deliver` sends what Slack is owed. A late or repeated run keeps the
figures anew and posts nothing twice.

**A red run**: the log of the task that failed has one sentence that says what to mend; clear the task then.

**By hand.** Trigger it with `as_of` to ask about other seven days (`2026-03-30`, Berlin time, or with an offset): when that day is
a Monday they are kept and told, otherwise only shown in the log and on the page. `dry_run` only shows, in any case.
`company_id` restricts it to one company. A backfill keeps the figures of the weeks that are gone, and tells nobody.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, Param, get_parsing_context
from pendulum import datetime

from processing_time.operators.broken import tell_of_broken_report, tell_of_late_report
from processing_time.operators.monitor import tags, task_defaults
from processing_time.operators.reports import DeliverOperator, WeeklyReportOperator
from processing_time.settings import load_for_dags

for settings in load_for_dags(get_parsing_context().dag_id):
    with DAG(
        dag_id=settings.dag_id("processing_time_weekly_report"),
        schedule=CronTriggerTimetable(settings.reports.weekly, timezone=settings.timezone),
        start_date=datetime(2025, 10, 28, tz=settings.timezone),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=settings.reports.task_timeout * 1.5,
        on_failure_callback=tell_of_late_report,
        doc_md=__doc__,
        tags=tags(settings, "reports"),
        default_args=task_defaults(
            settings,
            execution_timeout=settings.reports.task_timeout,
            on_failure_callback=tell_of_broken_report,
        ),
        params={
            "as_of": Param(
                None,
                type=["null", "string"],
                description=f"The seven days before this day: ISO 8601; without an offset in {settings.timezone}.",
            ),
            "dry_run": Param(
                default=False, type="boolean", description="Show only: keep nothing, tell nobody."
            ),
            "company_id": Param(
                None, type=["null", "integer"], minimum=1, description="Only this company; empty for all."
            ),
        },
    ) as dag:
        WeeklyReportOperator(task_id="report") >> DeliverOperator(task_id="deliver")
