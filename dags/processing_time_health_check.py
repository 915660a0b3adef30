# SPDX-License-Identifier: MIT
"""
### Processing Time: health check

Runs every hour from 08:00 to 20:00 Europe/Berlin, 13 times a day, and asks whether appointments with processing time
get their phases, availability is cached and Cal.com is told. When they are not, salons double-book.

**What it does.** `collect_*` read the application's database, log and cache over windows that end at the run's
`as_of`; `evaluate` holds the numbers against the thresholds of `include/monitoring.yaml` and keeps them;
`escalate` opens, repeats, escalates and resolves alerts in Slack, one thread an incident; `verdict` writes the summary to its
log and turns the run **red** when something is at or above `fail_run_on` (HIGH). A source that cannot be read costs its
own metrics: they become `unknown`, and that alerts. With `log_hosts`, `read_log.<host>` counts each host's log. Where `auto_recovery` allows anything, a task `recover` repairs that.

**A red run** is a finding when only `verdict` failed: read its log, then the thread in Slack. When another task failed,
the monitoring itself is broken: its log has one sentence that says what to fix; Slack was told.

**By hand.** Trigger it with `as_of` to ask about another instant (`2026-03-29T12:00`, Berlin time, or with an offset),
with `dry_run` to see the answer without keeping it or telling anyone. An `as_of` older than the newest check keeps its
numbers and tells nobody. Clearing a run asks the same question again; nothing is announced twice.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, Param, get_parsing_context
from pendulum import datetime

from processing_time.operators.broken import tell_of_broken_task, tell_of_late_check
from processing_time.operators.health_check import CollectOperator, EvaluateOperator, VerdictOperator
from processing_time.operators.log_hosts import collect_log
from processing_time.operators.monitor import tags, task_defaults
from processing_time.operators.recover import RecoverOperator
from processing_time.operators.request_toggle import RequestToggleOperator
from processing_time.operators.slack_escalation import SlackEscalationOperator
from processing_time.settings import load_for_dags

for settings in load_for_dags(get_parsing_context().dag_id):
    with DAG(
        dag_id=settings.dag_id("processing_time_health_check"),
        schedule=CronTriggerTimetable(settings.schedule.health_check, timezone=settings.timezone),
        start_date=datetime(2025, 10, 28, tz=settings.timezone),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=settings.schedule.deadline,
        on_failure_callback=tell_of_late_check,
        doc_md=__doc__,
        tags=tags(settings, "monitoring"),
        default_args=task_defaults(
            settings,
            execution_timeout=settings.schedule.task_timeout,
            on_failure_callback=tell_of_broken_task,
        ),
        params={
            "as_of": Param(
                None,
                type=["null", "string"],
                description=f"Speak for this instant instead of now: ISO 8601; without an offset in {settings.timezone}.",
            ),
            "dry_run": Param(
                default=False,
                type="boolean",
                description="Evaluate and show only: keep nothing, tell nobody.",
            ),
        },
    ) as dag:
        database = CollectOperator(task_id="collect_database", source="mysql")
        cache = CollectOperator(task_id="collect_cache", source="redis")
        collect = [database, collect_log(settings, beside=[database, cache]), cache]
        evaluate = EvaluateOperator(task_id="evaluate", trigger_rule="all_done")
        escalate = SlackEscalationOperator(task_id="escalate")
        request_toggle = RequestToggleOperator(task_id="request_toggle")
        verdict = VerdictOperator(task_id="verdict", retries=0, on_failure_callback=None)

        collect >> evaluate >> escalate >> [request_toggle, verdict]
        if settings.auto_recovery.on:
            escalate >> RecoverOperator(task_id="recover")
