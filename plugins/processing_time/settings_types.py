# SPDX-License-Identifier: MIT
"""The kinds of values that settings hold, each checked with a sentence that says what to write instead."""

from __future__ import annotations

import difflib
import re
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _duration(value: Any) -> Any:
    """``90s``, ``5m``, ``1h``, ``2d`` as a timedelta; whole numbers alone are refused, they have no unit."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)\s*([smhd])", str(value).strip())
    if not match:
        raise ValueError("is not a duration: write a whole number and a unit, such as 90s, 5m, 1h or 2d")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def switch(value: Any) -> Any:
    """``true`` and ``false`` arrive as text from the environment."""
    return {"true": True, "false": False}.get(str(value).lower(), value)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        # Listing all names takes milliseconds, at each parse of a DAG file: only for the hint.
        close = difflib.get_close_matches(value, available_timezones(), n=1)
        hint = f"did you mean {close[0]}?" if close else "use a name such as Europe/Berlin or UTC"
        raise ValueError(f"is not a known time zone: {hint}") from None
    return value


_NOT_LINEAR = re.compile(r"\(\?(?:<?[=!]|P=|\()|(?<!\\)(?:\\\\)*\\[1-9]")
"""Look-around, conditions and back-references."""


def _pattern(value: str) -> str:
    """A literal, or ``regex:…`` that compiles and cannot match the empty line."""
    if not value:
        raise ValueError("is an empty pattern: it would match every line")
    if value.startswith("regex:"):
        try:
            compiled = re.compile(value.removeprefix("regex:"))
        except re.error as error:
            raise ValueError(f"is not a valid regular expression: {error}") from None
        if found := _NOT_LINEAR.search(value):
            raise ValueError(
                f"uses {found[0]}, which an engine that reads each line once cannot do: write several patterns instead"
            )
        if compiled.search(""):
            raise ValueError("matches an empty line, so it would match every line: make it stricter")
    return value


def value_pattern(value: str) -> str:
    try:
        groups = re.compile(value).groups
    except re.error as error:
        raise ValueError(f"is not a valid regular expression: {error}") from None
    if groups != 1:
        raise ValueError("needs exactly one group (…) around the number")
    return value


def _cron(value: str) -> str:
    from croniter import croniter

    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise ValueError('is not a cron expression of five fields, such as "0 8-20 * * *"')
    return value


def matching(regex: str, hint: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(regex, value):
            raise ValueError(hint)
        return value

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Zone = Annotated[str, AfterValidator(_zone)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Identifier = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "is not a column name: letters, digits and _ only")
]
ChannelId = Annotated[
    str,
    matching(
        r"[CGD][A-Z0-9]{2,}", "is not a channel id: open the channel's details in Slack, it ends with C…"
    ),
]
UserId = Annotated[str, matching(r"[UW][A-Z0-9]{2,}", "is not a user id, such as U0123456789")]
Mention = Annotated[
    str,
    matching(
        r"<!subteam\^S[A-Z0-9]+>|<@[UW][A-Z0-9]+>|<!here>|<!channel>",
        'is not a mention: write "<!subteam^S…>" for a user group or "<@U…>" for a person',
    ),
]
Cron = Annotated[str, AfterValidator(_cron)]


class Section(BaseModel):
    """A part of the settings: unknown keys are refused, values do not change."""

    # Built at the first use, as part of the whole: each section for itself would cost time at each parse of a DAG file.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class LogHost(Section):
    """One of several hosts that each write a log of their own."""

    queue: str = Field(min_length=1)
    """of a host: the Celery queue of the worker that sees its log"""
    logs: tuple[str, ...] | None = None
    """its files; `null`: the patterns of `application.logs`"""
