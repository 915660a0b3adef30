# SPDX-License-Identifier: MIT
"""What the application's database answers to a diagnosis: services, phases, orphans, stale phases, the Cal.com sync."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from processing_time.incident import diagnosis_errors as errors
from processing_time.incident.action import Hands, Request
from processing_time.incident.diagnosis_finding import Finding, shown
from processing_time.model import ALL_COMPANIES, Sample, SourceUnavailable, figure
from processing_time.settings import Settings
from processing_time.sources import database, feature_flags, queries
from processing_time.sources import scope as scoping
from processing_time.sources.boundaries import Boundaries, Watermark
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.sources.scope import Scope
from processing_time.sources.snapshot import Row, Snapshot, snapshot
from processing_time.summary import flag_lines
from processing_time.timeline import Timeline

NEWEST = 5
SERVICES_SHOWN, IDS_SHOWN = 40, 50
CREATE_PHASES = "start this form with action create_missing_phases"
_ERROR_TEXTS = ("sync_error_message", "sync_error")


def timeline_of(as_of: datetime, settings: Settings) -> Timeline:
    """The windows of a diagnosis; none of them is *since last check*."""
    return Timeline(as_of, settings.zone, settings.application_zone, as_of)


def flags_of(settings: Settings) -> FeatureFlags | SourceUnavailable:
    """The flags as configured, or why nobody knows."""
    try:
        return feature_flags.read(settings.application.env_file)
    except SourceUnavailable as error:
        return error


@dataclass(frozen=True)
class Reading:
    """The database at one moment, and what counts in it."""

    opened: Snapshot
    scope: Scope
    timeline: Timeline
    watermarks: list[Watermark]
    settings: Settings

    @cached_property
    def boundaries(self) -> Boundaries:
        """Where the windows begin in the tables."""
        earliest = self.timeline.windows["7_days"].start
        return Boundaries(self.opened, self.timeline, self.watermarks, earliest)

    def rows(self, path: str, identifiers: Mapping[str, str] | None = None, **values: Any) -> list[Row]:
        """The rows of a file; raises as the scope and the snapshot do."""
        query = queries.read(path)
        names = {**self.scope.identifiers, **(identifiers or {})}
        self.scope.require(query, names)
        return self.opened.rows(*queries.bind(query.statement(names), {**self.scope.values, **values}, path))

    def local(self, written: datetime | None) -> str:
        """A time as the application wrote it, in the zone of the settings."""
        if written is None:
            return "at no known time"
        instant = written.replace(tzinfo=self.settings.application_zone).astimezone(UTC)
        return f"{instant.astimezone(self.settings.zone):%a %d %b %H:%M}"


@contextmanager
def reading(request: Request, hands: Hands) -> Iterator[Reading]:
    """Open the database for a diagnosis; raises SourceUnavailable and QueryFault."""
    settings = hands.settings
    marks = [
        Watermark(at, ids["appointments"], ids["phases"]) for at, ids in hands.store.watermarks(request.as_of)
    ]
    with snapshot(hands.application, settings.schedule.statement_timeout) as opened:
        found = scoping.shape(opened, scoping.TABLES)
        scope = scoping.scope(opened, settings.application, flags_of(settings), found)
        yield Reading(opened, scope, timeline_of(request.as_of, settings), marks, settings)


def flags(_: Request, hands: Hands) -> Iterator[Finding]:
    """The feature flags as configured."""
    found = flags_of(hands.settings)
    if isinstance(found, SourceUnavailable):
        raise found
    then = "as intended? Then look at the services"
    if not found.configured:
        then = "set application.env_file, so that the flags can be told; laravel's own answer is below"
    elif not found.auto_create_phases:
        then = (
            "set FEATURE_PROCESSING_TIME_AUTO_PHASES=true in .env, php artisan config:cache, then"
            f" {CREATE_PHASES}"
        )
    elif not found.enabled and not found.service_whitelist:
        then = "nobody may use the feature: intended, or start this form with action enable_feature"
    yield Finding(
        "Feature flags",
        "; ".join(flag_lines(found.to_json())),
        then,
        facts={"auto_phases": found.auto_create_phases, "configured": found.configured},
    )


def services(request: Request, hands: Hands) -> Iterator[Finding]:
    """The services with processing time and their durations; the one that was asked for, and why."""
    with reading(request, hands) as db:
        found = db.rows("context/services.sql", _durations(db.scope))
    split = [row for row in found if row[2] and row[3]]
    empty = [row[0] for row in split if not any(minutes and minutes > 0 for minutes in row[4:])]
    items = [f"service {row[0]} (company {row[1]}): {_minutes(row)}" for row in split]
    yield Finding(
        "Services with processing time",
        f"{len(split)} of {sum(bool(row[3]) for row in found)}",
        f"correct the durations of {', '.join(map(str, empty[:10]))}: without one above 0 no phase is made"
        if empty
        else "durations as agreed with the companies? Then look at the newest phases",
        shown(items, SERVICES_SHOWN, "services"),
        {"without_durations": len(empty)},
    )
    if request.service_id:
        yield _one_service(request.service_id, found, hands.settings)


def _one_service(asked: str, found: list[Row], settings: Settings) -> Finding:
    question = f"Service {asked}"
    row = next((row for row in found if str(row[0]).lower() == asked), None)
    if row is None:
        return Finding(question, "does not exist", "correct service_id")
    _, company_id, has, kept, *_ = row
    if not kept:
        return Finding(question, "is deleted: its appointments do not count", "ask whether that was meant")
    if not has:
        return Finding(
            question,
            "has no processing time: has_processing_time is not set",
            "switch it on in the service, if it should have; its appointments get no phases until then",
        )
    known = flags_of(settings)
    if isinstance(known, SourceUnavailable):
        return Finding(question, f"has processing time, {_minutes(row)}; {known}", "make the flags readable")
    through = feature_flags.eligible(
        scoping.Service(row[0], company_id, has_processing_time=True, gives=()), known
    )
    why = (
        "every service counts"
        if not known.configured
        else f"master toggle {'ENABLED' if known.enabled else 'DISABLED'}, company {company_id}"
    )
    if through:
        return Finding(
            question,
            f"has processing time, {_minutes(row)}, and the flags let it through ({why})",
            "its appointments must have phases: look at the errors in the log",
        )
    return Finding(
        question,
        f"has processing time, {_minutes(row)}, but the flags do not let it through ({why})",
        "add it, or its company, to the whitelist, then php artisan config:cache",
    )


def newest_phases(request: Request, hands: Hands) -> Iterator[Finding]:
    """The ten newest appointments with phases."""
    with reading(request, hands) as db:
        rows = db.rows("diagnostics/latest_with_phases.sql")
        items = [
            f"appointment {id_} of service {service}: {n} phases, {db.local(at)}"
            for id_, service, at, n in rows
        ]
        last = db.local(rows[0][2]) if rows else ""
    yield Finding(
        "Newest appointments with phases",
        f"the last one was made {last}" if rows else "there is none at all",
        "if appointments came since, look at the errors in the log" if rows else "look at flags and observer",
        tuple(items),
    )


def measured(request: Request, hands: Hands) -> Iterator[Finding]:
    """Orphans, stale phases and the sync, measured as a check measures them."""
    settings = hands.settings
    marks = [
        Watermark(at, ids["appointments"], ids["phases"]) for at, ids in hands.store.watermarks(request.as_of)
    ]
    timeline = timeline_of(request.as_of, settings)
    collected = database.collect(hands.application, settings, timeline, flags_of(settings), marks)
    found = {s.metric: s for s in collected.samples if s.company_id == ALL_COMPANIES}
    rate = found.get("phase_creation_success_rate")
    yield _orphans(found.get("orphaned_appointments"), rate)
    yield _stale(found.get("stale_phases"))
    yield _sync_states(found.get("calcom_sync_success_rate"))


def _orphans(sample: Sample | None, rate: Sample | None) -> Finding:
    question = "Appointments without phases, yesterday and today"
    facts = {"rate": rate.value if rate else None, "rate_of": rate.denominator if rate else None}
    if sample is None or sample.loss:
        return Finding(question, _unknown(sample), "mend that first", facts=facts)
    today = "" if rate is None or rate.value is None else f"; today {rate.value:.2f} % have phases"
    return Finding(
        question,
        f"{figure(sample.value or 0)} of {figure(sample.denominator or 0)}{today}",
        CREATE_PHASES if sample.value else "nothing to repair",
        _ids(sample),
        {**facts, "orphans": sample.value},
    )


def _stale(sample: Sample | None) -> Finding:
    question = "Phases of services without processing time, 7 days"
    if sample is None or sample.loss:
        return Finding(question, _unknown(sample), "mend that first")
    return Finding(
        question,
        f"{figure(sample.value or 0)} of {figure(sample.denominator or 0)} appointments",
        "ask the company whether the service was switched back on purpose"
        if sample.value
        else "nothing to do",
        _ids(sample),
    )


def _sync_states(sample: Sample | None) -> Finding:
    question = "Cal.com sync by state, 7 days"
    if sample is None or sample.loss:
        return Finding(question, _unknown(sample), "mend that first")
    states = dict(sample.detail.get("by_status") or {})
    failed = sample.detail.get("errors", 0)
    value = (
        "nothing to sync"
        if sample.value is None
        else f"{sample.value:.2f} % of {figure(sample.denominator or 0)} synced"
    )
    return Finding(
        question,
        value,
        "look at the errors, then start this form with action retry_failed_syncs"
        if failed
        else "everything pending? Then no queue worker runs",
        tuple(f"{state}: {count}" for state, count in sorted(states.items(), key=lambda s: (-s[1], s[0]))),
        {"sync_rate": sample.value, "sync_rate_of": sample.denominator, "sync_errors": failed},
    )


def sync_errors(request: Request, hands: Hands) -> Iterator[Finding]:
    """The errors of the sync by code, those of throttling apart, and the newest of them."""
    with reading(request, hands) as db:
        window = db.timeline.windows["7_days"]
        there = (c for c in _ERROR_TEXTS if db.scope.shape.has("appointments", c))
        rows = db.rows(
            "diagnostics/sync_errors.sql",
            {"sync_error_text": next((f"a.{column}" for column in there), "NULL")},
            first_appointment=db.boundaries.appointments(window.start).first,
            window_start=db.timeline.to_application(window.start),
            window_end=db.timeline.to_application(window.end),
        )
        coded = [(id_, at, errors.of_sync(code, text)) for id_, at, code, text in rows]
        newest = [f"appointment {id_}, made {db.local(at)}: {code}" for id_, at, code in coded[:NEWEST]]
    slow = sum(errors.throttled(code) for _, _, code in coded)
    counts = Counter(code for _, _, code in coded if not errors.throttled(code))
    by_code = [f"{code}: {count}" for code, count in counts.most_common(10)]
    then = "nothing to do"
    if slow:
        then = "Cal.com throttles: slow the queue down, and retry in portions"
    elif coded:
        then = "look at Cal.com's health below, then start this form with action retry_failed_syncs"
    yield Finding(
        "Cal.com errors, 7 days",
        f"{slow} throttled (429), {len(coded) - slow} others" if coded else "none",
        then,
        (*by_code, *newest),
        {"throttled": slow},
    )


def _durations(scope: Scope) -> dict[str, str]:
    has = scope.shape.has
    return {
        f"{t}_duration": f"s.{t}_duration" if has("services", f"{t}_duration") else "NULL"
        for t in scoping.PHASE_TYPES
    }


def _minutes(row: Row) -> str:
    return " + ".join(str(minutes or 0) for minutes in row[4:]) + " min"


def _ids(sample: Sample) -> tuple[str, ...]:
    ids = list(sample.detail.get("ids", ()))
    if not ids:
        return ()
    left = int(sample.numerator or 0) - len(ids[:IDS_SHOWN])
    return (", ".join(map(str, ids[:IDS_SHOWN])) + (f" and {left} older ones" if left > 0 else ""),)


def _unknown(sample: Sample | None) -> str:
    return (
        f"not known: {sample.reason}"
        if sample
        else "not measured: the metric is switched off in the settings"
    )
