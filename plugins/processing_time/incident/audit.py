# SPDX-License-Identifier: MIT
"""What became of a run of the incident DAG, told from what its tasks left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processing_time.incident.action import Outcome, Result

UNFINISHED = (
    "It did not come to its end: the red task's log says why. Clear that task to go on; what was done already is not"
    " done twice."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered to a request for approval.

    :param by: the id of the Airflow user; None when the time ran out.
    :param shown: what tells the plan that they saw from any other.
    """

    approved: bool
    by: str | None
    name: str | None = None
    shown: str | None = None

    @property
    def who(self) -> str:
        """What people call them."""
        return self.name or self.by or "nobody"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"approved": self.approved, "by": self.by, "name": self.name, "shown": self.shown}


def conclude(
    prepared: Mapping[str, Any] | None,
    answers: Sequence[Answer],
    acted: Mapping[str, Any] | None,
    refusal: Mapping[str, Any] | None,
) -> Result:
    """How the action ended.

    :param prepared: what the first task gave.
    :param acted: what the acting task gave.
    :param refusal: ``outcome``, ``sentence`` and ``detail`` of a task that could not go on, if it could say so.
    """
    if refusal is not None:
        return Result(Outcome(refusal["outcome"]), (refusal["sentence"],), refusal.get("detail") or {})
    if prepared is None:
        return Result(Outcome.FAILED, ("It could not be planned: the log of the task prepare says why.",))
    if acted is not None:
        return Result.from_json(acted)
    for answer in answers:
        if not answer.approved and answer.by is None:
            return Result(Outcome.TIMED_OUT, ("Nobody answered in time, so nothing was done.",))
        if not answer.approved:
            return Result(Outcome.REJECTED, (f"{answer.who} rejected it; nothing was done.",))
    return Result(Outcome.FAILED, (UNFINISHED,))


def approved_by(answers: Sequence[Answer]) -> str | None:
    """Who approved, for the audit row; two names when two people did."""
    return ", ".join(answer.who for answer in answers if answer.approved) or None
