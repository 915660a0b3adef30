# SPDX-License-Identifier: MIT
"""``diagnose``: everything that the runbook asks, answered at once; nothing is changed.

A question that cannot be answered says why, and costs none of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from processing_time.incident import (
    diagnosis_application,
    diagnosis_cache,
    diagnosis_database,
    diagnosis_indexes,
    diagnosis_log,
)
from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.incident.diagnosis_finding import Finding
from processing_time.incident.diagnosis_troubles import recognise
from processing_time.model import SourceUnavailable
from processing_time.sources.snapshot import ConnectionLost, QueryFault

QUESTIONS: tuple[tuple[str, Callable[[Request, Hands], Iterator[Finding]]], ...] = (
    ("Feature flags", diagnosis_database.flags),
    ("The application", diagnosis_application.laravel),
    ("Services with processing time", diagnosis_database.services),
    ("Newest appointments with phases", diagnosis_database.newest_phases),
    ("Phases and sync", diagnosis_database.measured),
    ("Errors in the log", diagnosis_log.findings),
    ("Cal.com errors", diagnosis_database.sync_errors),
    ("Cal.com", diagnosis_application.calcom),
    ("Cache hit rate", diagnosis_cache.hit_rate),
    ("Redis", diagnosis_cache.findings),
    ("Indexes", diagnosis_indexes.findings),
)


class Diagnose:
    """Planning is looking; there is nothing to act upon."""

    def plan(self, request: Request, hands: Hands) -> Plan:
        """Ask everything."""
        answered = [finding for name, ask in QUESTIONS for finding in _answers(name, ask, request, hands)]
        facts: dict[str, Any] = {}
        for finding in answered:
            facts |= finding.facts
        troubles = recognise(facts, hands.settings)
        lines = [f"{trouble.question}: {trouble.answer}. {_sentence(trouble.then)}" for trouble in troubles]
        return Plan(
            lines=tuple(lines) or ("None of the troubles that the runbook knows is recognised.",),
            counts={"answers": len(answered), "troubles": len(troubles)},
            needs_approval=False,
            detail={"findings": [finding.to_json() for finding in (*troubles, *answered)]},
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Nothing: the plan holds the answers."""
        return Result(Outcome.DONE, plan.lines)


def _answers(
    name: str, ask: Callable[[Request, Hands], Iterator[Finding]], request: Request, hands: Hands
) -> Iterator[Finding]:
    try:
        yield from ask(request, hands)
    except (SourceUnavailable, QueryFault, ConnectionLost, Refused) as error:
        yield Finding(name, f"not known: {error}", "mend that, or look there by hand")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
