# SPDX-License-Identifier: MIT
"""What a check found, for people: the summary of the real-time health check, the table, the daily checklist."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from processing_time.evaluation import check_state
from processing_time.model import ALL_COMPANIES, Loss, State, Verdict, Window, figure, utc
from processing_time.settings import LogRule, Settings
from processing_time.timeline import Timeline, is_last_of_day, midnight

Facts = Mapping[str, Mapping[str, Any]]


class Answer(StrEnum):
    """How a line of the checklist is answered."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ChecklistLine:
    """One item of the daily checklist with its answer and the counts behind it."""

    item: str
    answer: Answer
    counts: str


@dataclass(frozen=True, slots=True)
class Row:
    """A metric or rule in the table, everything as people read it."""

    metric: str
    value: str
    window: str
    threshold: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A check in a few lines. ``as_of`` is aware, in UTC; every text is in the zone of the settings.

    ``today``, ``failures`` and ``cached_entries`` are None when their source could not be read. ``missing_hosts`` are the
    hosts whose log was not: ``failures`` are those of the others.
    """

    as_of: datetime
    local_time: str
    state: State
    flags: tuple[str, ...]
    today: tuple[int, int] | None
    failures: int | None
    cached_entries: int | None
    rows: tuple[Row, ...]
    checklist: tuple[ChecklistLine, ...] = ()
    missing_hosts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for XCom."""
        return {**asdict(self), "as_of": self.as_of.isoformat(), "state": str(self.state)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Summary:
        """The inverse of :meth:`to_json`."""
        return cls(
            **{
                **data,
                "as_of": utc(data["as_of"]),
                "state": State(data["state"]),
                "flags": tuple(data["flags"]),
                "today": tuple(data["today"]) if data["today"] else None,
                "rows": tuple(Row(**row) for row in data["rows"]),
                "checklist": tuple(
                    ChecklistLine(**{**line, "answer": Answer(line["answer"])}) for line in data["checklist"]
                ),
                "missing_hosts": tuple(data.get("missing_hosts", ())),
            }
        )

    @property
    def lines(self) -> list[str]:
        """What the real-time health check prints: flags, today's totals, failures in 24 hours, cached entries."""
        today = f"{self.today[1]} of {self.today[0]} with phases" if self.today else "not measured"
        failures = "not measured" if self.failures is None else str(self.failures)
        if self.failures is not None and self.missing_hosts:
            failures = f"at least {failures}, {without(self.missing_hosts)}"
        entries = "not measured" if self.cached_entries is None else str(self.cached_entries)
        return [
            f"Feature flags: {', '.join(self.flags)}",
            f"Today: {today}",
            f"Phase creation failures in 24 h: {failures}",
            f"Cached availability entries: {entries}",
        ]


def summarise(
    verdicts: Sequence[Verdict],
    facts: Facts,
    flags: Mapping[str, Any] | str,
    settings: Settings,
    timeline: Timeline,
) -> Summary:
    """Put a check into words.

    :param facts: by source name, what the source told beside its samples; a source that failed has none.
    :param flags: the feature flags, or the sentence that says why they are not known.
    """
    overall = [v for v in verdicts if v.company_id == ALL_COMPANIES]
    today = facts.get("mysql", {}).get("today")
    failures = next((v.sample for v in overall if v.metric == "phase_creation_failures"), None)
    # Without a host it is at least what the others have; of a log that is silent nobody knows.
    told = failures is not None and "log" in facts and failures.loss in (None, Loss.SOURCE)
    return Summary(
        as_of=timeline.as_of,
        local_time=f"{timeline.as_of.astimezone(timeline.zone):%Y-%m-%d %H:%M} {settings.timezone}",
        state=check_state(verdicts),
        flags=tuple(flag_lines(flags)),
        today=(today["eligible"], today["with_phases"]) if today else None,
        failures=failures.detail.get("last_24h") if failures and told else None,
        cached_entries=facts.get("redis", {}).get("entries"),
        rows=tuple(_row(v, settings, timeline) for v in overall),
        checklist=tuple(checklist(facts, settings, timeline)) if _posts_checklist(settings, timeline) else (),
        missing_hosts=tuple(facts.get("log", {}).get("missing_hosts", ())),
    )


def without(hosts: Collection[str]) -> str:
    """Which hosts' logs are not in a count."""
    return f"without the log of {', '.join(hosts)}"


def flag_lines(flags: Mapping[str, Any] | str) -> list[str]:
    """The feature flags as the health check prints them, one text each."""
    if isinstance(flags, str):
        return [f"not readable ({flags})"]
    if not flags.get("configured"):
        return ["not configured (every service with processing time counts)"]

    def listed(values: Sequence[Any], what: str, empty: str) -> str:
        return f"{what} {', '.join(map(str, values))}" if values else f"{what} {empty}"

    on = "ENABLED" if flags["enabled"] else "DISABLED"
    auto = "ENABLED" if flags["auto_create_phases"] else "DISABLED"
    services = len(flags["service_whitelist"])
    return [
        f"master toggle {on}",
        f"service whitelist {services} services" if services else "service whitelist EMPTY",
        listed(flags["company_whitelist"], "company whitelist", "EMPTY (all allowed)"),
        f"auto phases {auto}",
    ]


def checklist(facts: Facts, settings: Settings, timeline: Timeline) -> list[ChecklistLine]:
    """The daily checklist over the whole day: each item with its answer and counts, never a bare box."""
    database, log = facts.get("mysql", {}), facts.get("log", {})
    today, sync = database.get("today"), database.get("sync_today")
    cache = None if log.get("missing_hosts") else log.get("today", {}).get("availability_cache_hit_rate")

    def target(key: str) -> float | None:
        metric = settings.metrics.get(key)
        return metric.target if metric and metric.enabled else None

    def rate(
        name: str, key: str, good: int | None, total: int | None, both_seen: bool = True
    ) -> ChecklistLine:
        bound = target(key)
        item = f"{name} > {bound:g} %" if bound is not None else name
        if bound is None or good is None or total is None or not both_seen:
            return ChecklistLine(item, Answer.UNKNOWN, "not measured")
        if not total:
            return ChecklistLine(item, Answer.UNKNOWN, "nothing to measure today")
        value = 100 * good / total
        return ChecklistLine(
            item, Answer.YES if value > bound else Answer.NO, f"{value:.2f} % ({good} of {total})"
        )

    hits, misses = (cache["hits"], cache["misses"]) if cache else (None, None)
    return [
        rate(
            "Phase creation success rate",
            "phase_creation_success_rate",
            today["with_phases"] if today else None,
            today["eligible"] if today else None,
        ),
        _critical_errors(log, timeline),
        rate(
            "Cache hit rate",
            "availability_cache_hit_rate",
            hits,
            None if hits is None or misses is None else hits + misses,
            both_seen=bool(_seen(log, "hit") and _seen(log, "miss")),
        ),
        rate(
            "Cal.com sync success rate",
            "calcom_sync_success_rate",
            sync["synced"] if sync else None,
            sync["eligible"] if sync else None,
        ),
    ]


def _critical_errors(log: Mapping[str, Any], timeline: Timeline) -> ChecklistLine:
    item = "No critical errors in the log"
    number, hosts = log.get("critical_records_today"), log.get("missing_hosts")
    if number is None or (hosts and not number):
        return ChecklistLine(item, Answer.UNKNOWN, _behind("not measured", hosts))
    newest = log.get("newest_record")
    if not number and (not newest or utc(newest) < timeline.windows["today"].start):
        return ChecklistLine(item, Answer.UNKNOWN, "the log holds no record of today")
    counts = _behind(f"{number} records at level CRITICAL or above", hosts)
    return ChecklistLine(item, Answer.NO if number else Answer.YES, counts)


def _behind(text: str, hosts: Collection[str] | None) -> str:
    return f"{text}, {without(hosts)}" if hosts else text


def window_text(window: Window, timeline: Timeline) -> str:
    """A window as people read it in local time: ``today since 00:00`` or ``2026-11-15 00:00 – 11-22 14:00``."""
    if window.start == window.end:
        return f"at {window.end.astimezone(timeline.zone):%H:%M}"
    start, end = window.start.astimezone(timeline.zone), window.end.astimezone(timeline.zone)
    if window.start == midnight(window.end, timeline.zone):
        return f"today 00:00–{end:%H:%M}"
    day = "" if start.date() == end.date() else f"{start:%a %d %b} "
    last = "" if start.date() == end.date() else f"{end:%a %d %b} "
    return f"{day}{start:%H:%M} – {last}{end:%H:%M}"


def value_text(verdict: Verdict, settings: Settings) -> str:
    """The value with its unit, rounded for reading only; a dash where there is none."""
    value = verdict.sample.value
    if value is None:
        return "–"
    rule = settings.rule(verdict.metric)
    if isinstance(rule, LogRule):
        return figure(value)
    if rule.unit == "%":
        return f"{value:.2f} %"
    if rule.unit == "ms":
        return f"{value:.1f} ms"
    if rule.unit == "×":
        return f"{value:.1f}×"
    return f"{figure(value)} {rule.unit}"


def _seen(log: Mapping[str, Any], part: str) -> bool:
    return f"availability_cache_hit_rate.{part}" in log.get("sightings", {})


def _row(verdict: Verdict, settings: Settings, timeline: Timeline) -> Row:
    state = str(verdict.state) + (f" ({verdict.severity})" if verdict.severity else "")
    reason = "; ".join(p for p in (verdict.reason, verdict.muted) if p)
    return Row(
        metric=verdict.metric,
        value=value_text(verdict, settings),
        window=window_text(verdict.sample.window, timeline),
        threshold=verdict.threshold,
        state=state,
        reason=reason,
    )


def _posts_checklist(settings: Settings, timeline: Timeline) -> bool:
    return settings.daily_checklist and is_last_of_day(
        settings.schedule.health_check, timeline.zone, timeline.as_of
    )


def table(summary: Summary) -> str:
    """The rows as aligned text for the task log, the summary's lines above it."""
    head = Row("metric", "value", "window", "threshold", "state", "reason")
    rows = [head, *summary.rows]
    widths = [max(len(str(getattr(r, f))) for r in rows) for f in Row.__slots__]
    text = [
        "  ".join(str(getattr(r, f)).ljust(w) for f, w in zip(Row.__slots__, widths, strict=True)).rstrip()
        for r in rows
    ]
    rule = "-" * max(map(len, text))
    return "\n".join(
        [
            f"Processing Time at {summary.local_time}: {summary.state}",
            *summary.lines,
            rule,
            text[0],
            rule,
            *text[1:],
        ]
    )
