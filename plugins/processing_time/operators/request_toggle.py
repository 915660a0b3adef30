# SPDX-License-Identifier: MIT
"""Level 3: start an incident run that waits for a human's approval to disable the feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from processing_time.operators.monitor import MonitorOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class RequestToggleOperator(MonitorOperator):
    """Trigger the incident DAG for the first alert that reached level 3; skip when none did.

    A task of its own, because triggering ends the task that does it. The run id comes from the alert, so that a
    repeated task does not start a second run.

    :param escalate_task_id: the task that gave the alerts that ask for the toggle.
    """

    def __init__(self, *, escalate_task_id: str = "escalate", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.escalate_task_id = escalate_task_id

    def execute(self, context: Context) -> None:
        """Start the incident run.

        :raises AirflowSkipException: when nothing asks for it, or ``escalation.incident_dag`` is not set.
        """
        toggles = (context["ti"].xcom_pull(task_ids=self.escalate_task_id) or {}).get("toggles", [])
        settings = self.settings()
        dag_id = settings.incident_dag
        if not toggles:
            raise AirflowSkipException("no alert has reached level 3")
        if not dag_id:
            raise AirflowSkipException("level 3 is reached, but escalation.incident_dag is not set")
        # Imported here: it would cost each parse of the DAG file a fifth of a second.
        from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

        alert_id = toggles[0]["alert_id"]
        run_id = f"alert-{alert_id}-disable-feature"
        if dag_id == settings.escalation.incident_dag:
            # No target's own: several may start runs of it, and the alerts of each are numbered for themselves.
            run_id = settings.dag_id(run_id)
        TriggerDagRunOperator(
            task_id=self.task_id,
            trigger_dag_id=dag_id,
            trigger_run_id=run_id,
            conf={"action": "disable_feature", "dry_run": False, "alert_id": alert_id},
            skip_when_already_exists=True,
        ).execute(context)
