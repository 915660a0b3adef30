# SPDX-License-Identifier: MIT
"""The errors of the phase observer in the log of the last 24 hours: grouped, counted, one example each.

Of each record the fixed part of the message, the codes and classes in it, the place in the application's code and the
appointment's id are told. Its other texts may quote a customer and are never told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from processing_time.incident import diagnosis_errors as errors
from processing_time.incident.action import Hands, Request
from processing_time.incident.diagnosis_finding import Finding, shown
from processing_time.settings import Settings
from processing_time.sources.laravel_log.files import open_logs
from processing_time.sources.laravel_log.records import BOM, Clock, level, message
from processing_time.sources.laravel_log.slices import parts

DAY = timedelta(hours=24)
GROUPS_SHOWN = 10
QUESTION = "Errors of AppointmentPhase… in the log, 24 hours"
_SIGN = b"AppointmentPhase"
_BAD = frozenset({"ERROR", "CRITICAL", "ALERT", "EMERGENCY"})
_TRACE = 4096
"""Bytes behind a header in which the place in the application's code is looked for."""
#: What the observer writes before the context; longer ones first. A message that is none of them is not told.
_MESSAGES = (
    "AppointmentPhaseObserver: Failed to update phases on reschedule",
    "AppointmentPhaseObserver: Failed to create phases",
    "AppointmentPhaseObserver: Failed to delete phases",
    "AppointmentPhaseObserver: Failed",
)
_SPEAKER = re.compile(r"AppointmentPhase\w{0,40}")
_PLACE = re.compile(r"/(app/[A-Za-z0-9_/]{1,120}\.php)(?:\((\d{1,6})\)|:(\d{1,6}))")
_APPOINTMENT = re.compile(r'"appointment_id":\s*"?(\d{1,19}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b')


@dataclass(frozen=True, slots=True)
class Told:
    """What of a record may be told."""

    message: str
    kind: str
    place: str


@dataclass(slots=True)
class Group:
    """Records alike, and the newest of them."""

    count: int = 0
    newest: int = 0
    appointment: str = ""


def findings(request: Request, hands: Hands) -> Iterator[Finding]:
    """The groups, most frequent first; where hosts have logs of their own, which hosts to look at."""
    settings = hands.settings
    if settings.application.log_hosts:
        yield _elsewhere(hands)
        return
    groups = read(settings, request.as_of - DAY, request.as_of)
    total = sum(group.count for group in groups.values())
    ordered = sorted(groups.items(), key=lambda item: (-item[1].count, item[0].message))
    items = [_line(told, group, settings.zone) for told, group in ordered]
    yield Finding(
        QUESTION,
        f"{total} in {len(groups)} {'group' if len(groups) == 1 else 'groups'}" if total else "none",
        "mend their cause (a lock, a missing column after a deployment, a full disk), then start this form with"
        " action create_missing_phases"
        if total
        else "nothing to do",
        shown(items, GROUPS_SHOWN, "groups"),
        {"log_errors": total},
    )


def _elsewhere(hands: Hands) -> Finding:
    """This task runs on one machine: what the last check counted on all of them, and where to look."""
    hosts = ", ".join(hands.settings.application.log_hosts)
    answer, facts = "not read here: each host has a log of its own", {}
    if at := hands.store.newest_finished():
        counts = (
            v.sample.detail["last_24h"]
            for v in hands.store.verdicts(at)
            if v.metric == "phase_creation_failures" and not v.sample.loss
        )
        if (number := next(counts, None)) is not None:
            answer += f"; the check of {at.astimezone(hands.settings.zone):%a %d %b %H:%M} counted {number}"
            facts = {"log_errors": number}
    return Finding(QUESTION, answer, f"look for AppointmentPhase in the logs of {hosts}", facts=facts)


def read(settings: Settings, start: datetime, end: datetime) -> dict[Told, Group]:
    """The bad records from ``start`` up to ``end``, both aware.

    :raises SourceUnavailable: when there is no log, or it cannot be read.
    """
    first, last = int(start.timestamp()), int(end.timestamp())
    groups: dict[Told, Group] = {}
    with open_logs(settings.application.logs) as (files, _):
        for part in parts(files, settings.application_zone, first, last):
            clock = Clock(settings.application_zone)
            for page, whole in part.file.pages(part.start, part.stop):
                for second, told, appointment in _records(page[:whole], clock):
                    if first <= second < last:
                        group = groups.setdefault(told, Group())
                        group.count += 1
                        if second >= group.newest:
                            group.newest, group.appointment = second, appointment
    return groups


def _records(block: bytes, clock: Clock) -> Iterator[tuple[int, Told, str]]:
    at = block.find(_SIGN)
    while at >= 0:
        begin, end = block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at)
        end = len(block) if end < 0 else end
        # A crash leaves runs of NULs in front of the next record.
        line = block[begin:end].removeprefix(BOM).lstrip(b"\0")
        if found := _record(line, block[end : end + _TRACE], clock):
            yield found
        at = block.find(_SIGN, end)


def _record(line: bytes, below: bytes, clock: Clock) -> tuple[int, Told, str] | None:
    """A header line with the sign behind its level, and what is told of it."""
    stamp, _, rest = line.partition(b"] ")
    channel, colon, text = rest.partition(b": ")
    if not colon or _SIGN not in text or len(channel) > 110 or level(channel) not in _BAD:
        return None
    second = clock.second(stamp)
    if second is None:
        return None
    whole = text.decode("utf-8", "replace")
    trace = whole + below.partition(b"\n[2")[0].decode("utf-8", "replace")
    said = message(whole)
    place = _PLACE.search(trace)
    appointment = _APPOINTMENT.search(whole)
    return (
        second,
        Told(
            _fixed(said),
            errors.kind(whole),
            f"{place[1]}:{place[2] or place[3]}" if place else "",
        ),
        appointment[1] if appointment else "",
    )


def _fixed(said: str) -> str:
    known = next((text for text in _MESSAGES if text in said), "")
    speaker = _SPEAKER.search(said)
    return known or f"{speaker[0] if speaker else 'AppointmentPhase…'} (another message)"


def _line(told: Told, group: Group, zone: ZoneInfo) -> str:
    at = datetime.fromtimestamp(group.newest, UTC).astimezone(zone)
    example = f"; last {at:%a %d %b %H:%M:%S}" + (
        f", appointment {group.appointment}" if group.appointment else ""
    )
    what = ", ".join(part for part in (told.message, told.kind, told.place) if part)
    return f"{group.count} × {what}{example}"
