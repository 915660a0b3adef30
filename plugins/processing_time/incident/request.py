# SPDX-License-Identifier: MIT
"""What a person typed into the form, as a :class:`Request` that holds nothing but checked values, or a refusal in words.

Ids are whole numbers or UUIDs and nothing else, so that none of them can mean anything to SQL, to a shell or to a Redis
pattern, on top of being bound, quoted and escaped there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from processing_time.incident.action import Refused, Request
from processing_time.incident.registry import REGISTRY
from processing_time.settings import Settings

ID = r"(?:[1-9][0-9]{0,18}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
"""A whole number above 0, or a UUID."""
SEPARATOR = r"[,;\s]+"
CACHE_KEY = r"[!-~]{3,300}"
"""Printable ASCII without blanks: what Laravel's keys are made of."""
RULE = r"[a-z][a-z0-9_.]{0,79}"
REASON = r"[^\x00-\x1f\x7f\u2028\u2029]{3,300}"
"""One line."""
LARGEST = 2**63 - 1
OPTIONAL = ("company_id", "service_id", "appointment_ids", "cache_key", "rule", "until")
"""The params that mean something to some actions only; :attr:`Entry.takes` says to which."""

_HARMLESS = re.compile(r"[\w.:*+-]{1,60}", re.ASCII)


def parse(
    params: Mapping[str, Any], settings: Settings, *, as_of: datetime, requested_by: str | None
) -> Request:
    """The request in the params of a run.

    :param as_of: the instant of the run, UTC.
    :raises Refused: with a sentence that names the param, the value where it is harmless, and the fix.
    """
    action = _action(params.get("action"))
    given = {name: params[name] for name in OPTIONAL if params.get(name) not in (None, "", [])}
    for name in given:
        if name not in REGISTRY[action].takes:
            raise Refused(f"{name} means nothing to {action}: leave it empty{_takes(action)}")
    return Request(
        action=action,
        dry_run=_switch("dry_run", params.get("dry_run", True)),
        as_of=as_of,
        requested_by=requested_by,
        alert_id=_whole("alert_id", params.get("alert_id")),
        company_id=_whole("company_id", given.get("company_id")),
        service_id=_id("service_id", given["service_id"]) if "service_id" in given else None,
        appointment_ids=_ids("appointment_ids", given.get("appointment_ids", ()), settings),
        cache_key=_text("cache_key", given.get("cache_key"), CACHE_KEY, "one key without blanks"),
        rule=_rule(given.get("rule"), settings),
        until=_instant("until", given["until"], settings) if "until" in given else None,
        reason=_text("reason", params.get("reason") or None, REASON, "3 to 300 characters on one line"),
    )


def _action(value: Any) -> str:
    if isinstance(value, str) and value in REGISTRY:
        return value
    close = difflib.get_close_matches(str(value), REGISTRY, n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(REGISTRY)}"
    raise Refused(f"action{_shown(value)} does not exist: {hint}")


def _takes(action: str) -> str:
    others = sorted(REGISTRY[action].takes)
    return f" ({action} takes {', '.join(others)})" if others else ""


def _switch(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise Refused(f"{name}{_shown(value)} is neither true nor false: write true or false")


def _whole(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not re.fullmatch(r"[1-9][0-9]{0,18}", str(value), re.ASCII)
        or int(value) > LARGEST
    ):
        raise Refused(f"{name}{_shown(value)} is not a whole number above 0: write one, such as 12")
    return int(value)


def _id(name: str, value: Any) -> str:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(ID, text, re.ASCII):
        raise Refused(
            f"{name} holds{_shown(value, ' ')}, which is neither a whole number nor a UUID: correct it"
        )
    return text.lower()


def _ids(name: str, value: Any, settings: Settings) -> tuple[str, ...]:
    items: Iterable[Any] = (
        value if isinstance(value, list | tuple) else re.split(SEPARATOR, str(value).strip())
    )
    ids = tuple(dict.fromkeys(_id(name, item) for item in items if item != ""))
    most = settings.incident.max_appointments
    if len(ids) > most:
        raise Refused(
            f"{name} holds {len(ids)} ids and may hold {most}: do it in portions, or raise incident.max_appointments"
        )
    return ids


def _text(name: str, value: Any, pattern: str, what: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise Refused(f"{name}{_shown(value)} cannot be used: write {what}")
    return value


def _rule(value: Any, settings: Settings) -> str | None:
    rule = _text("rule", value, RULE, "the name of a metric or log rule")
    known = {*settings.metrics, *settings.log_rules}
    if (
        rule
        and rule.removesuffix(".unknown") not in known
        and not re.fullmatch(r"source\.(?:mysql|log|redis)\.unknown", rule)
    ):
        close = difflib.get_close_matches(rule, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "write the name of a metric or log rule"
        raise Refused(f"rule{_shown(rule)} does not exist: {hint}")
    return rule


def _instant(name: str, value: Any, settings: Settings) -> datetime:
    try:
        instant = datetime.fromisoformat(str(value).strip())
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=settings.zone)
        return instant.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise Refused(
            f"{name}{_shown(value)} is not a time: write it like 2026-03-29T12:00, which is in {settings.timezone}"
        ) from None


def _shown(value: Any, lead: str = " = ") -> str:
    """The value where it cannot be anybody's name or a trick; refusals are also told in Slack."""
    text = str(value)
    return f"{lead}{text!r}" if _HARMLESS.fullmatch(text) else f"{lead}something else" if lead == " " else ""
