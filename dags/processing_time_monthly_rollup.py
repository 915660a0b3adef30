# SPDX-License-Identifier: MIT
"""
### Processing Time: monthly rollup

On the 1st at 07:00 Europe/Berlin: what each metric and company came to in the calendar month that is over, beside the month before
and the same month last year, where it has been going over up to twelve months, and how far the roll-out is.

**What it does.** `roll_up` adds the month up from the application's rows, and from the samples of the hourly checks what only log
and cache knew; keeps that in the table `monthly`; owes Slack one message with a chart, and the details in its thread; and writes
the same as a page where `reports.html` says. `deliver` sends what Slack is owed. `remove` takes away the samples of months that are
rolled up and older than `reports.keep_samples`, and resolved alerts, delivered messages and audit rows after their own times.

**A red run**: the log of the task that failed has one sentence that says what to mend; clear the task then. Rolling a month up
again gives the same figures and posts nothing twice.

**By hand.** Trigger it with `as_of`, any day, for the last month that is over by then; with `dry_run` it only shows.

**Backfill.** `airflow backfill create --dag-id processing_time_monthly_rollup --from-date 2024-12-01 --to-date 2026-11-02` builds the
history of a new installation from the application's rows, in any order, as often as you like; it tells nobody. What the log and the
cache said before there were checks cannot be built, and what the application has deleted or changed since counts as it is now.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, Param, get_parsing_context
from dateutil.relativedelta import relativedelta
from pendulum import datetime

from processing_time.operators.broken import tell_of_broken_report, tell_of_late_report
from processing_time.operators.monitor import tags, task_defaults
from processing_time.operators.reports import DeliverOperator
from processing_time.operators.rollup import MonthlyRollupOperator, RetentionOperator
from processing_time.settings import load_for_dags

for settings in load_for_dags(get_parsing_context().dag_id):
    with DAG(
        dag_id=settings.dag_id("processing_time_monthly_rollup"),
        schedule=CronTriggerTimetable(
            settings.reports.monthly, timezone=settings.timezone, interval=relativedelta(months=1)
        ),
        # A backfill goes back no further than this.
        start_date=datetime(2020, 1, 1, tz=settings.timezone),
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
                description="The last month that is over by then: ISO 8601; without an offset in "
                f"{settings.timezone}.",
            ),
            "dry_run": Param(
                default=False, type="boolean", description="Show only: keep and remove nothing, tell nobody."
            ),
        },
    ) as dag:
        roll_up = MonthlyRollupOperator(task_id="roll_up")
        roll_up >> [DeliverOperator(task_id="deliver"), RetentionOperator(task_id="remove")]
