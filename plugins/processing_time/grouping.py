# SPDX-License-Identifier: MIT
"""Many decisions at once to a handful of messages: one for many companies, one proposal for one feature."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from processing_time.model import ALL_COMPANIES, Action, Decision
from processing_time.settings import Metric, Settings

MANY = 5
"""More companies than this with the same news about one rule are told of in one message."""


def one_proposal(decisions: Sequence[Decision]) -> list[Decision]:
    """There is one feature to disable: several alerts that ask for it at once share a proposal.

    That which was there first makes it: the incident run bears its number, and is told of in its thread. The others ask for
    none of their own, not when that one is over either.
    """
    asking = [d for d in decisions if d.toggle]
    first = min(asking, key=_number, default=None)
    return [_joined(d, first) if first and d.toggle and d is not first else d for d in decisions]


def grouped(decisions: Sequence[Decision], settings: Settings) -> list[Decision]:
    """Let one decision speak where many companies have the same news about one rule.

    The decision for all companies speaks if it has that news too, else that of the worst company.
    """
    alike: dict[tuple[str, Action], list[Decision]] = defaultdict(list)
    for decision in decisions:
        if decision.action is not Action.NOTHING:
            alike[decision.rule, decision.action].append(decision)
    changed: dict[int, Decision] = {}
    for same in alike.values():
        single = sorted(
            (d for d in same if d.company_id != ALL_COMPANIES), key=lambda d: _badness(d, settings)
        )
        if len(single) > MANY:
            speaker = next((d for d in same if d.company_id == ALL_COMPANIES), single[0])
            changed[id(speaker)] = replace(
                speaker,
                companies=tuple(d.company_id for d in single),
                mention=any(d.mention for d in same),
                diagnose=any(d.diagnose for d in same),
                toggle=any(d.toggle for d in same),
                moved=any(d.moved for d in same),
            )
            changed.update((id(d), _spoken_for(d, speaker)) for d in single if d is not speaker)
    return [changed.get(id(d), d) for d in decisions]


def _joined(decision: Decision, first: Decision) -> Decision:
    after = decision.after and replace(decision.after, toggle_requested_at=None)
    return replace(decision, after=after, toggle=False, reason=f"{decision.reason} with {first.rule}")


def _number(decision: Decision) -> int:
    return (decision.after.id if decision.after else None) or 0


def _spoken_for(decision: Decision, speaker: Decision) -> Decision:
    after = decision.after
    if decision.action is Action.OPEN and after is not None:
        after = replace(after, thread_company=speaker.company_id)
    return replace(
        decision, after=after, grouped=True, mention=False, diagnose=False, toggle=False, moved=False
    )


def _badness(decision: Decision, settings: Settings) -> tuple[int, float, int]:
    """Sorts the worst company first: by severity, then by how much is failing."""
    rank = decision.after.severity.rank if decision.after else 0
    failing = 0.0
    if decision.verdict:
        sample, rule = decision.verdict.sample, settings.rule(decision.verdict.metric)
        if isinstance(rule, Metric) and rule.kind == "rate" and rule.better == "higher":
            failing = (sample.denominator or 0) - (sample.numerator or 0)
        else:
            failing = sample.value or 0
    return (-rank, -failing, decision.company_id)
