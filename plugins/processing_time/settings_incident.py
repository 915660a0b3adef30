# SPDX-License-Identifier: MIT
"""Settings of the incident DAG and of automatic recovery: who may approve, and how much may be touched."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from processing_time.settings_types import Duration, Section, matching

AirflowUser = Annotated[
    str,
    matching(
        r"\S(?:.{0,126}\S)?", "is not the id of an Airflow user: write it as Airflow's user list shows it"
    ),
]


class Incident(Section):
    """What guards the actions that people start through the incident DAG."""

    approvers: tuple[AirflowUser, ...] = ()
    """ids of Airflow users that may approve; empty: whoever may answer in Airflow"""
    approval_timeout: Duration
    """without an answer by then nothing is done"""
    task_timeout: Duration
    """the longest a task of an action may take"""
    two_person_rollback: bool
    """`true`: a rollback is approved by two different people"""
    max_appointments: int = Field(ge=1, le=10_000)
    """appointments that one action names or repairs at most"""
    approve_above: int = Field(ge=0)
    """clearing more availability keys than this is approved by somebody"""


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is not a number: write how many an hour, 0 for none")  # noqa: TRY004  # pydantic's
    return value


class AutoRecovery(Section):
    """How much level 1 may repair by itself within an hour; 0: nothing."""

    stuck_cache_keys: Annotated[int, BeforeValidator(_number)] = Field(ge=0, le=100_000)
    """availability keys without an expiry are removed"""
    failed_syncs: Annotated[int, BeforeValidator(_number)] = Field(ge=0, le=1_000)
    """failed jobs of the sync to Cal.com go back to the queue"""
    missing_phases: Annotated[int, BeforeValidator(_number)] = Field(ge=0, le=10_000)
    """the application makes the phases of eligible appointments that have none"""

    @property
    def on(self) -> bool:
        """Whether anything may be repaired."""
        return bool(self.stuck_cache_keys or self.failed_syncs or self.missing_phases)
