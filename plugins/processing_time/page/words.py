# SPDX-License-Identifier: MIT
"""How the page says values, states and times: signs beside colours, local times with their zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from processing_time.messages.context import clock, elapsed
from processing_time.model import State, figure
from processing_time.settings import LogRule, Settings

SIGNS: Final = {
    State.OK: "✓",
    State.DEGRADED: "◐",
    State.ALERT: "▲",
    State.CRITICAL: "✖",
    State.INSUFFICIENT_DATA: "…",
    State.UNKNOWN: "?",
}
WORDS: Final = {State.DEGRADED: "below target", State.INSUFFICIENT_DATA: "not enough data"}
_DIGITS: Final = {"%": 2, "ms": 1, "×": 1}


def word(state: State) -> str:
    """A state in words."""
    return WORDS.get(state, str(state))


def title(key: str, settings: Settings) -> str:
    """What people call a metric or rule; a key that the settings no longer have is readable enough."""
    known = key in settings.metrics or key in settings.log_rules
    return settings.rule(key).title if known else key.replace("_", " ").capitalize()


def unit(key: str, settings: Settings) -> str:
    """The unit of a metric; a rule counts."""
    metric = settings.metrics.get(key)
    return metric.unit if metric else ""


def quantity(value: float | None, of: str) -> str:
    """A value with its unit, rounded for reading only; a dash where there is none.

    :param of: the unit; empty for a bare number.
    """
    if value is None:
        return "–"
    digits = _DIGITS.get(of)
    number = f"{value:.{digits}f}" if digits is not None else figure(value)
    return number + of if of == "×" else f"{number} {of}".rstrip()


def instant(at: datetime, settings: Settings) -> str:
    """A local time with its day and zone."""
    return f"{at.astimezone(settings.zone):%a %d %b %Y, %H:%M} {settings.timezone}"


def ago(at: datetime, present: datetime) -> str:
    """How long ago it was; a clock that is ahead of ours says so."""
    return f"{elapsed(present - at)} ago" if present >= at else f"in {elapsed(at - present)}"


def near(at: datetime, present: datetime, settings: Settings) -> str:
    """A local time, with the day when it is not the present one."""
    return clock(at, present, settings.zone)


def listed(texts: Sequence[str], most: int = 3) -> str:
    """Texts behind each other; the number of those that are left out."""
    shown = ", ".join(texts[:most])
    return f"{shown} and {len(texts) - most} more" if len(texts) > most else shown


def bounds(key: str, settings: Settings) -> tuple[tuple[str, float], ...]:
    """The levels that a metric or rule is held against, by name."""
    rule = settings.rule(key)
    if isinstance(rule, LogRule):
        return (("alert", float(rule.more_than)),)
    if rule.budget is not None:
        return tuple(("alert", pair.factor) for pair in rule.budget.windows[:1])
    named = (("target", rule.target), ("alert", rule.alert), ("critical", rule.critical))
    found: dict[float, str] = {}
    for name, value in named:
        if value is not None:
            found[value] = f"{found[value]}, {name}" if value in found else name
    return tuple((name, value) for value, name in found.items())
