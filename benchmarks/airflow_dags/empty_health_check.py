# SPDX-License-Identifier: MIT
"""The health check's shape with tasks that do nothing: what Airflow itself takes for seven tasks in three steps.

They run as tasks do, each in a process of its own; the scheduler would only tick off an ``EmptyOperator``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator, Param

if TYPE_CHECKING:
    from airflow.sdk import Context


class NothingOperator(BaseOperator):
    """Do nothing."""

    def execute(self, context: Context) -> None:
        """Do nothing."""


with DAG(
    dag_id="empty_health_check",
    schedule=None,
    params={"as_of": Param(None, type=["null", "string"]), "dry_run": Param(default=False, type="boolean")},
):
    collect = [NothingOperator(task_id=f"collect_{source}") for source in ("database", "log", "cache")]
    evaluate = NothingOperator(task_id="evaluate", trigger_rule="all_done")
    escalate = NothingOperator(task_id="escalate")
    (
        collect
        >> evaluate
        >> escalate
        >> [NothingOperator(task_id="request_toggle"), NothingOperator(task_id="verdict")]
    )
