# SPDX-License-Identifier: MIT
"""One sentence for now: how it is, when that was measured, when it is measured next, and whether that is overdue.

A check that did not come is never health: the state is then ``unknown``, whatever the last one found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from processing_time.model import ALL_COMPANIES, State, Verdict
from processing_time.page.words import ago, instant, listed, near, quantity, title, unit
from processing_time.settings import Settings
from processing_time.store_rows import Check
from processing_time.timeline import length_text, next_tick

DAG = "processing_time_health_check"


@dataclass(frozen=True, slots=True)
class Status:
    """How it is now.

    :param state: of the newest check; unknown when there is none, or the next one is overdue.
    :param overdue: the sentence that is said loudly; empty when the monitor keeps its time.
    :param measured: when the newest check was; empty when there is none.
    :param due: when the next one comes.
    """

    state: State
    sentence: str
    overdue: str = ""
    measured: str = ""
    due: str = ""


def status(check: Check | None, verdicts: Sequence[Verdict], settings: Settings, present: datetime) -> Status:
    """How it is at the present time.

    :param check: the newest finished one.
    :param verdicts: what it found for all companies.
    """
    if check is None:
        dag = settings.dag_id(DAG)
        sentence = f"Nothing has been measured yet: switch on the DAG {dag}, or wait for its first run."
        return Status(State.UNKNOWN, sentence)
    due = next_tick(settings.schedule.health_check, settings.zone, check.as_of)
    measured = f"{instant(check.as_of, settings)} ({ago(check.as_of, present)})"
    if present > due + settings.schedule.deadline:
        overdue = (
            f"The check of {near(due, present, settings)} has not finished, {ago(due, present)}: nobody is watching."
            f" What this page shows is from {instant(check.as_of, settings)}."
        )
        return Status(
            State.UNKNOWN,
            f"Nobody knows how it is now. Then: {_sentence(check, verdicts, settings)}",
            overdue,
            measured,
            f"since {instant(due, settings)}",
        )
    text = f"{instant(due, settings)} ({ago(due, present)})"
    if present >= due:
        text = f"{instant(due, settings)}: expected within {length_text(settings.schedule.deadline)}"
    return Status(check.state, _sentence(check, verdicts, settings), "", measured, text)


def _sentence(check: Check, verdicts: Sequence[Verdict], settings: Settings) -> str:
    overall = [v for v in verdicts if v.company_id == ALL_COMPANIES]

    def named(*states: State) -> list[str]:
        return [v.metric for v in overall if v.state in states]

    def told(keys: Sequence[str]) -> str:
        values = {v.metric: v.sample.value for v in overall}
        texts = [f"{title(k, settings)} ({quantity(values[k], unit(k, settings))})" for k in keys]
        return listed(texts)

    if broken := named(State.CRITICAL, State.ALERT):
        worst = "Critical" if check.state is State.CRITICAL else "Something is wrong"
        if check.state not in (State.CRITICAL, State.ALERT):
            worst = "To look at"
        return f"{worst}: {told(broken)}."
    if blind := named(State.UNKNOWN):
        return f"Not everything can be measured: {listed([title(k, settings) for k in blind])}."
    if behind := named(State.DEGRADED):
        return f"Nothing alerts; below target: {told(behind)}."
    if not named(State.OK):
        return "There is not enough to judge yet."
    return f"Everything that can be judged is as it should be: {len(named(State.OK))} of {len(overall)}."
