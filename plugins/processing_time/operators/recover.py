# SPDX-License-Identifier: MIT
"""Level 1's automatic recovery, where the settings allow it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

from processing_time.operators import run
from processing_time.operators.repair import RepairOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

PRESENT = timedelta(hours=1)
"""A check of an older instant repairs nothing: what it saw may be over."""


class RecoverOperator(RepairOperator):
    """Repair what the alerts of this check ask for and ``auto_recovery`` allows; skip when that is nothing.

    What could not be repaired is said in the alert's thread and fails nothing; only a broken task does.
    """

    def part(self, context: Context) -> dict[str, str]:
        """Give the outcomes by action.

        :raises AirflowSkipException: when nothing asks for it, for a dry run, a backfill, or a check that is not the newest.
        """
        settings = self.settings()
        as_of = run.as_of(context, settings)
        if run.dry(context) or run.present() - as_of > PRESENT or context["dag_run"].run_type == "backfill":
            raise AirflowSkipException("only a check of the present repairs anything")
        # Imported here: each parse of the DAG file would pay for it.
        from processing_time.incident.auto_recovery import Run, recover

        if self.store.newest_finished() != as_of:
            raise AirflowSkipException("a newer check has finished")
        alerts = self.store.standing(as_of, settings).open_alerts
        check = Run(context["dag_run"].run_id, as_of, run.page(context), run.present)
        done = recover(alerts, self.hands(settings, self.store), check)
        self.try_to_deliver(self.store)
        for action, result in done:
            self.log.info("%s: %s: %s", action, result.outcome, " ".join(result.lines))
        if not done:
            raise AirflowSkipException("no alert asks for what auto_recovery allows")
        return {action: str(result.outcome) for action, result in done}
