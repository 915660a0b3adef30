# SPDX-License-Identifier: MIT
"""
### Processing Time: incident

One form for everything that the runbook asks for: look, recover, switch off, roll back, relaunch. It runs when a person
starts it, or when level 3 of the escalation does.

**Start with `diagnose`** (the default). It changes nothing, answers what the runbook asks, recognises the known troubles
and names the action of this form that helps. With `dry_run` the answer is in the log of `prepare`; without, in Slack too.

**Every action is a dry run** until `dry_run` is switched off: the log of `prepare` says what would happen. In earnest, what
matters waits in `approve` until somebody says yes (*Required actions*, or the button in Slack); no answer means no. A rollback
can ask two different people. Only one run acts at a time; waiting holds nobody up.

**What became of it** is in the alert's thread, when `alert_id` names one, and in the table `actions`: who asked, who
approved, what was done. The run is **red** when what was asked for was refused or failed: the log of `finish` has the sentence.
A red `act` can be cleared: it goes on where it was interrupted, and does nothing twice.

`docs/runbook.md` says for each alert what to press, `docs/incident.md` what each action does.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, get_parsing_context
from pendulum import datetime

from processing_time.incident.registry import DIAGNOSE, REGISTRY
from processing_time.incident.request import CACHE_KEY, ID, LARGEST, REASON, RULE
from processing_time.operators.broken import tell_of_broken_incident
from processing_time.operators.incident import ActOperator, ApproveOperator, FinishOperator, PrepareOperator
from processing_time.operators.monitor import tags, task_defaults
from processing_time.settings import load_for_dags


def whole(help_text: str) -> Param:
    """An optional whole number above 0."""
    return Param(None, type=["null", "integer"], minimum=1, maximum=LARGEST, description=help_text)


def text(pattern: str, help_text: str, **more: object) -> Param:
    """An optional text of a certain form."""
    return Param(None, type=["null", "string"], pattern=f"^(?:{pattern})?$", description=help_text, **more)


for settings in load_for_dags(get_parsing_context().dag_id):
    with DAG(
        dag_id=settings.dag_id("processing_time_incident"),
        schedule=None,
        start_date=datetime(2025, 10, 28, tz=settings.timezone),
        # Runs that wait for an approval must not hold up a diagnosis.
        max_active_runs=32,
        max_active_tasks=32,
        doc_md=__doc__,
        tags=tags(settings, "incident"),
        render_template_as_native_obj=False,
        default_args=task_defaults(settings, execution_timeout=settings.incident.task_timeout),
        params={
            "action": Param(
                DIAGNOSE,
                type="string",
                enum=list(REGISTRY),
                description_md="\n".join(f"- **{name}** {entry.does}" for name, entry in REGISTRY.items()),
            ),
            "dry_run": Param(
                default=True,
                type="boolean",
                description="Only show what would happen. Switch it off to do it; what matters is then approved first.",
            ),
            "alert_id": whole(
                "The number of the alert that this is about, as its message in Slack says: what happens is told in its thread."
            ),
            "company_id": whole("Only this company."),
            "service_id": text(ID, "Only this service: its number or UUID."),
            "appointment_ids": Param(
                None,
                type=["null", "string", "array"],
                pattern=f"^[,;\\s]*(?:{ID}(?:[,;\\s]+{ID})*)?[,;\\s]*$",
                items={"type": ["integer", "string"], "pattern": f"^{ID}$"},
                description="Only these appointments: numbers or UUIDs, with commas or blanks between them. Empty: all that the"
                f" action finds. At most {settings.incident.max_appointments}.",
            ),
            "cache_key": text(CACHE_KEY, "diagnose shows what this availability key holds."),
            "rule": text(RULE, "The metric or log rule to mute."),
            "until": text(
                r"[0-9T:.+Z -]{10,40}",
                f"When a mute ends: 2026-03-29T12:00 is {settings.timezone} time; or with an offset.",
            ),
            "reason": text(
                REASON, "Why, in a few words; no names of customers. It is kept, and told in Slack."
            ),
        },
    ) as dag:
        prepare = PrepareOperator(task_id="prepare")
        approve = ApproveOperator(task_id="approve", response_timeout=settings.incident.approval_timeout)
        second_approval = ApproveOperator(
            task_id="second_approval",
            second=True,
            response_timeout=settings.incident.approval_timeout,
            trigger_rule="none_failed",
        )
        act = ActOperator(task_id="act", trigger_rule="none_failed")
        finish = FinishOperator(
            task_id="finish", trigger_rule="all_done", on_failure_callback=tell_of_broken_incident
        )

        prepare >> approve >> second_approval >> act >> finish
        approve >> act
