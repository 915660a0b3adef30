# SPDX-License-Identifier: MIT
"""The task that decides about a check and tells Slack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from processing_time.operators import run
from processing_time.operators.monitor import MonitorOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from processing_time.alerting import Check, Rechecker
    from processing_time.messages.context import Addresses
    from processing_time.settings import Settings


class SlackEscalationOperator(MonitorOperator):
    """Open, repeat, escalate, acknowledge and resolve alerts, one Slack thread an incident.

    State and messages are committed together before Slack is called; what Slack does not take stays owed, the task
    fails, and its retry (or the next check) delivers it. Nothing is announced twice when the task is cleared.

    :param evaluate_task_id: the task that gave verdicts and summary.
    """

    template_fields: Sequence[str] = ("evaluate_task_id", *MonitorOperator.template_fields)

    def __init__(self, *, evaluate_task_id: str = "evaluate", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluate_task_id = evaluate_task_id

    def part(self, context: Context) -> dict[str, Any]:
        """Give ``{"toggles": […], "open": […]}``: alerts that ask for the feature toggle, and all open ones.

        :raises DeliveryError: when messages stay owed.
        """
        from processing_time.alerting import escalate

        settings = self.settings()
        check = self._check(context, settings)
        if run.dry(context):
            return self._show(settings, check)
        settings = run.with_mutes(settings, self.store, check.as_of)
        return escalate(self.store, self.slack, settings, check, recheck=self._recheck(settings)).to_json()

    def _recheck(self, settings: Settings) -> Rechecker:
        from processing_time.sources.recheck import still_failing

        return lambda alerts: still_failing(self.mysql(), settings, alerts)

    def _check(self, context: Context, settings: Settings) -> Check:
        from processing_time.alerting import Check
        from processing_time.model import Verdict
        from processing_time.summary import Summary

        evaluated = context["ti"].xcom_pull(task_ids=self.evaluate_task_id)
        return Check(
            as_of=run.as_of(context, settings),
            verdicts=[Verdict.from_json(v) for v in evaluated["verdicts"]],
            summary=Summary.from_json(evaluated["summary"]),
            addresses=_addresses(context, settings),
        )

    def _show(self, settings: Settings, check: Check) -> dict[str, Any]:
        from processing_time.alerting import describe, preview

        settings = run.with_mutes(settings, self.store, check.as_of)
        decisions, messages = preview(self.store, settings, check, recheck=self._recheck(settings))
        for decision in decisions:
            self.log.info("Dry run, would %s", describe(decision))
        for message in messages:
            self.log.info("Dry run, would say (%s):\n%s", message.kind, message.payload["text"])
        return {"toggles": [], "open": []}


def _addresses(context: Context, settings: Settings) -> Addresses:
    """Where the run and the incident DAG are in Airflow's pages."""
    from processing_time.messages.context import Addresses

    dag_run = run.page(context)
    airflow, _, _ = dag_run.partition("/dags/")
    incident = settings.incident_dag
    return Addresses(run=dag_run, incident=f"{airflow}/dags/{incident}" if airflow and incident else "")
