# SPDX-License-Identifier: MIT
"""What a run of the incident DAG says: to the person who approves, in the alert's thread, and in the task log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from processing_time.incident.action import Outcome, Plan, Request, Result
from processing_time.messages.document import Items, Links, Message, Note, Paragraph, Part

_ICONS = {
    Outcome.DONE: "🛠️",
    Outcome.DRY_RUN: "🧪",
    Outcome.NOTHING_TO_DO: "💤",
    Outcome.PARTLY: "⚠️",
    Outcome.REJECTED: "✋",
    Outcome.TIMED_OUT: "⌛",
    Outcome.REFUSED: "🚫",
    Outcome.FAILED: "❌",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")


def told(action: str, request: Request | None, result: Result, approved_by: str | None, run: str) -> Message:
    """How an action ended.

    :param request: None when it was refused before it was understood.
    :param run: the address of the run in Airflow, or nothing.
    """
    parts: list[Part] = [Items(str(result.outcome).replace("_", " "), result.lines, "lines")]
    small = [f"Asked by {asked_by(request)}." if request else "It was refused before anything was looked at."]
    if approved_by:
        small.append(f"Approved by {approved_by}.")
    if request and request.reason:
        parts.append(Paragraph(request.reason, label="Reason"))
    parts.append(Note(tuple(small)))
    if run:
        parts.append(Links({"Airflow run": run}))
    return Message(f"{_ICONS[result.outcome]} {action}", tuple(parts))


def wanted(request: Request, plan: Plan, address: str, second: bool) -> Message:
    """Somebody has to say yes or no.

    :param address: where they answer.
    :param second: whether somebody has approved already, and another person has to.
    """
    what = "a second person's approval" if second else "approval"
    parts: list[Part] = [
        Items("What will happen", plan.lines, "lines"),
        Note((f"Asked by {asked_by(request)}. Without an answer nothing happens.",)),
    ]
    if address:
        parts.append(Links({"Approve or reject": address}))
    return Message(f"✋ {request.action} waits for {what}", tuple(parts))


def diagnosis(findings: Sequence[Mapping[str, Any]], request: Request, run: str) -> Message:
    """A diagnosis: a list for each question, and in it what the runbook would do next."""
    parts: list[Part] = [Items(f["question"], tuple(_lines(f)), "lines") for f in findings]
    parts.append(Note((f"Asked by {asked_by(request)}. Ids and counts only; nothing was changed.",)))
    if run:
        parts.append(Links({"Airflow run": run}))
    return Message("🩺 Diagnosis", tuple(parts))


def body(request: Request, plan: Plan) -> str:
    """What stands above the two buttons in Airflow, in Markdown; the texts mean themselves in it."""
    counts = ", ".join(f"{name}: {count}" for name, count in plan.counts.items())
    told_by = f"Asked by {asked_by(request)}" + (f", because: {request.reason}" if request.reason else "")
    lines = [
        *plan.lines,
        *([f"Counts: {counts}"] if counts else []),
        f"{told_by}. Without an answer nothing happens.",
    ]
    return "\n".join("- " + _MARKDOWN.sub(r"\\\1", line) for line in lines)


def text(title: str, lines: Iterable[str]) -> str:
    """The same for the task log."""
    return "\n".join([title, *(f"  {line}" for line in lines)])


def findings_text(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A diagnosis as lines for the task log."""
    for finding in findings:
        yield f"{finding['question']}:"
        yield from (f"  {line}" for line in _lines(finding))


def asked_by(request: Request) -> str:
    """Who wants it."""
    return request.requested_by or ("level 3 of the escalation" if request.alert_id else "Airflow")


def _lines(finding: Mapping[str, Any]) -> Iterable[str]:
    yield finding["answer"]
    # In front of the details: a message that is too long loses those first.
    yield f"→ {finding['then']}"
    yield from finding["items"]
