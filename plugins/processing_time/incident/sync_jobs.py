# SPDX-License-Identifier: MIT
"""``retry_failed_syncs``: hands the failed jobs of the Cal.com sync back to the queue, and no other job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.incident.artisan import CHUNK, LISTED, Artisan, CommandFailed, Ran

CHECK_CALCOM = "If Cal.com still does not answer they fail again: diagnose shows how it is."


class RetryFailedSyncs:
    """``queue:retry`` with the ids of the failed jobs of the sync class, as many as one action may touch."""

    def plan(self, request: Request, hands: Hands) -> Plan:
        """List them. Of a job its class and id are read, nothing of what it holds."""
        failed = hands.artisan().failed_sync_jobs()
        most = hands.settings.incident.max_appointments
        jobs, left = failed[:most], len(failed) - most
        lines = [f"Hand {_jobs(len(jobs))} of SyncAppointmentToCalcomJob back to the queue. {CHECK_CALCOM}"]
        if left > 0:
            more = f"at least {left}" if len(failed) == LISTED else str(left)
            lines.append(
                f"The newest ones; {more} older ones wait for another run (incident.max_appointments)."
            )
        return Plan(
            lines=tuple(lines)
            if jobs
            else ("There is no failed job of SyncAppointmentToCalcomJob to retry.",),
            counts={"jobs": len(jobs)},
            empty=not jobs,
            detail={"jobs": list(jobs)},
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Retry those of them that are still among the failed ones."""
        artisan = hands.artisan()
        failed = set(artisan.failed_sync_jobs())
        jobs = [job for job in plan.detail["jobs"] if job in failed]
        if not jobs:
            return Result(
                Outcome.NOTHING_TO_DO, ("None of the approved jobs is among the failed ones any more.",)
            )
        runs, fault = _retried(artisan, jobs)
        lines = [f"It broke off. {fault}"] if fault else []
        try:
            again = set(artisan.failed_sync_jobs())
        except Refused as refused:  # what was handed back by then is in the queue
            lines.append(
                f"How much of {_jobs(len(jobs))} was handed back to the queue cannot be told: {refused}."
            )
            outcome = Outcome.PARTLY if runs else Outcome.FAILED
            return Result(outcome, tuple(lines), {"retried": jobs, "runs": runs})
        still = [job for job in jobs if job in again]
        lines.append(f"{_jobs(len(jobs) - len(still))} handed back to the queue. {CHECK_CALCOM}")
        if still:
            lines.append(f"{_jobs(len(still))} could not be handed back, or failed again at once.")
        outcome = Outcome.DONE if not still else Outcome.FAILED if len(still) == len(jobs) else Outcome.PARTLY
        return Result(outcome, tuple(lines), {"retried": jobs, "still_failed": still, "runs": runs})


def _retried(artisan: Artisan, jobs: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """The commands, and why it broke off before the last one, if it did."""
    runs: list[Ran] = []
    fault = ""
    try:
        runs.extend(artisan.retry(jobs[start : start + CHUNK]) for start in range(0, len(jobs), CHUNK))
    except Refused as refused:  # a machine that does not answer any more, too
        runs += [refused.ran] if isinstance(refused, CommandFailed) else []
        fault = str(refused)
    return [ran.to_json() for ran in runs], fault


def _jobs(count: int) -> str:
    return f"{count} failed {'job' if count == 1 else 'jobs'}"
