# SPDX-License-Identifier: MIT
"""The task that decides about a check and tells Slack."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from processing_time.operators import connections, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context
    from slack_sdk import WebClient

    from processing_time.alerting import Check, Rechecker
    from processing_time.messages.context import Addresses
    from processing_time.settings import Settings
    from processing_time.store import Store


class SlackEscalationOperator(BaseOperator):
    """Open, repeat, escalate, acknowledge and resolve alerts, one Slack thread an incident.

    State and messages are committed together before Slack is called; what Slack does not take stays owed, the task
    fails, and its retry (or the next check) delivers it. Nothing is announced twice when the task is cleared.

    :param evaluate_task_id: the task that gave verdicts and summary.
    :param store_conn_id: mysql connection of our own schema.
    :param slack_conn_id: slack connection with a bot token; ``base_url`` in its extra is honoured.
    :param mysql_conn_id: the application's database, to ask about the appointments of open alerts again.
    """

    template_fields: Sequence[str] = ("evaluate_task_id", "store_conn_id", "slack_conn_id", "mysql_conn_id")

    def __init__(
        self,
        *,
        evaluate_task_id: str = "evaluate",
        store_conn_id: str = connections.STORE,
        slack_conn_id: str = connections.SLACK,
        mysql_conn_id: str = connections.MYSQL,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.evaluate_task_id = evaluate_task_id
        self.store_conn_id = store_conn_id
        self.slack_conn_id = slack_conn_id
        self.mysql_conn_id = mysql_conn_id

    @cached_property
    def store(self) -> Store:
        """Our own schema."""
        from processing_time.store import Store

        return Store(connections.mysql_connect(self.store_conn_id))

    def slack(self) -> WebClient:
        """The Slack client of the connection.

        :raises DeliveryError: when there is no such connection, or it holds no token.
        """
        from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

        from processing_time.delivery import DeliveryError

        try:
            return connections.slack_client(self.slack_conn_id)
        except (AirflowNotFoundException, AirflowException, ValueError) as error:
            raise DeliveryError(
                f"the connection {self.slack_conn_id} cannot be used ({type(error).__name__}): add it with type slack"
                " and the bot token, xoxb-…, as its password"
            ) from None

    def execute(self, context: Context) -> dict[str, Any]:
        """Give ``{"toggles": […], "open": […]}``: alerts that ask for the feature toggle, and all open ones.

        :raises AirflowException: when the store cannot be used, or messages stay owed.
        """
        from airflow.sdk.exceptions import AirflowException

        from processing_time.alerting import escalate
        from processing_time.delivery import DeliveryError
        from processing_time.store_session import StoreError

        settings = run.settings()
        check = self._check(context, settings)
        if run.dry(context):
            return self._show(settings, check)
        try:
            with self.store as store:
                settings = run.with_mutes(settings, store, check.as_of)
                return escalate(store, self.slack, settings, check, recheck=self._recheck(settings)).to_json()
        except (DeliveryError, StoreError) as error:
            raise AirflowException(str(error)) from None

    def _recheck(self, settings: Settings) -> Rechecker:
        from processing_time.sources.recheck import still_failing

        return lambda alerts: still_failing(connections.mysql_connect(self.mysql_conn_id), settings, alerts)

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

        with self.store as store:
            settings = run.with_mutes(settings, store, check.as_of)
            decisions, messages = preview(store, settings, check, recheck=self._recheck(settings))
        for decision in decisions:
            self.log.info("Dry run, would %s", describe(decision))
        for message in messages:
            self.log.info("Dry run, would say (%s):\n%s", message.kind, message.payload["text"])
        return {"toggles": [], "open": []}


def _addresses(context: Context, settings: Settings) -> Addresses:
    """Where the run and the incident DAG are in Airflow's pages."""
    from processing_time.messages.context import Addresses

    dag_run, _, _ = getattr(context["ti"], "log_url", "").partition("/tasks/")
    airflow, _, _ = dag_run.partition("/dags/")
    incident = settings.escalation.incident_dag
    return Addresses(run=dag_run, incident=f"{airflow}/dags/{incident}" if airflow and incident else "")
