# SPDX-License-Identifier: MIT
"""The diagnostics snapshot of level 2: what somebody who was called looks at first. Ids and counts only, no person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from processing_time.messages.context import Context
from processing_time.messages.document import Facts, Items, Message, Note, Part
from processing_time.model import ALL_COMPANIES, State, Verdict, utc

_IDS_A_LINE = 10


def diagnostics(context: Context) -> Message:
    """The flags, the appointments without phases, the sync by state, the log, the cache, and what else is bad."""
    verdicts = {metric: v for (metric, company), v in context.verdicts.items() if company == ALL_COMPANIES}
    parts: list[Part] = [
        Facts(dict(line.split(": ", 1) for line in context.summary.lines)),
        Items("Not well", tuple(_unwell(context, verdicts.values())), "metrics and rules"),
        Items("Appointments without phases", tuple(_orphans(verdicts)), "lines of ids"),
        Items(
            "Cal.com sync by state, 7 days",
            tuple(_counts(verdicts, "calcom_sync_success_rate", "by_status")),
            "states",
        ),
        Items(
            "Cal.com errors by code, 7 days",
            tuple(_counts(verdicts, "calcom_sync_success_rate", "by_error_code", but="NULL")),
            "codes",
        ),
        Items("Availability cache", tuple(_cache(verdicts)), "lines"),
        Items("Errors in the log", tuple(_errors(context, verdicts)), "rules"),
        Note((f"As of {context.summary.local_time}. Ids and counts only; the log has the rest.",)),
    ]
    return Message("🩺 Diagnostics", tuple(parts))


def _unwell(context: Context, verdicts: Iterable[Verdict]) -> Iterable[str]:
    for verdict in verdicts:
        if verdict.state not in (State.OK, State.INSUFFICIENT_DATA):
            what = f"{context.rule(verdict.metric)}: {verdict.state}"
            yield ", ".join(part for part in (what, context.value(verdict), verdict.reason) if part != "–")


def _orphans(verdicts: Mapping[str, Verdict]) -> Iterable[str]:
    detail = _detail(verdicts, "orphaned_appointments")
    ids = [str(i) for i in detail.get("ids", ())]
    for start in range(0, len(ids), _IDS_A_LINE):
        yield ", ".join(ids[start : start + _IDS_A_LINE])
    if left_out := detail.get("ids_left_out"):
        yield f"and {left_out} older ones"


def _cache(verdicts: Mapping[str, Verdict]) -> Iterable[str]:
    rate = verdicts.get("availability_cache_hit_rate")
    requests = rate.sample.detail if rate and rate.state is not State.UNKNOWN else {}
    if "hits" in requests and "misses" in requests:
        yield f"{requests['hits']} hits, {requests['misses']} requests to Cal.com since the last check"
    entries = _detail(verdicts, "cached_availability_entries")
    if "without_ttl" in entries:
        yield f"{entries['without_ttl']} entries never expire"


def _errors(context: Context, verdicts: Mapping[str, Verdict]) -> Iterable[str]:
    for rule in context.settings.log_rules:
        detail = _detail(verdicts, rule)
        if day := detail.get("last_24h"):
            latest = f", peak at {context.clock(utc(detail['burst_at']))}" if detail.get("burst_at") else ""
            yield f"{context.rule(rule)}: {detail.get('total', 0)} since the last check{latest}, {day} in 24 h"


def _counts(verdicts: Mapping[str, Verdict], metric: str, name: str, but: str = "") -> Iterable[str]:
    counts = _detail(verdicts, metric).get(name) or {}
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if key != but:
            yield f"{key}: {count}"


def _detail(verdicts: Mapping[str, Verdict], metric: str) -> Mapping[str, Any]:
    return verdicts[metric].sample.detail if metric in verdicts else {}
