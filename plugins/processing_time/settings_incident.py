# SPDX-License-Identifier: MIT
"""Settings of the incident DAG: who may approve, how long it waits for an answer, and how much one action may touch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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
    approval_timeout: Duration
    task_timeout: Duration
    two_person_rollback: bool
    max_appointments: int = Field(ge=1, le=10_000)
    approve_above: int = Field(ge=0)
