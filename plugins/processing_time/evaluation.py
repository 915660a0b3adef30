# SPDX-License-Identifier: MIT
"""Samples and thresholds to verdicts: pure functions, so that a stored sample is judged the same way again.

:func:`judge` holds one sample against its bounds. :func:`evaluate` first asks whether each measurement can be
believed at all (did its source speak, does the log still carry its lines, did the feature flags change meanwhile).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from processing_time import burn_rate
from processing_time.certainty import certain
from processing_time.model import (
    ALL_COMPANIES,
    Collected,
    Loss,
    Sample,
    Severity,
    State,
    Verdict,
    Window,
    figure,
    utc,
    worst,
)
from processing_time.settings import LogRule, Metric, Settings
from processing_time.timeline import Timeline, length_text

SOURCES = ("mysql", "log", "redis")
FLAGS_MATTER = frozenset(
    {
        "phase_creation_success_rate",
        "phase_creation_burn_rate",
        "phase_distribution",
        "orphaned_appointments",
        "calcom_sync_success_rate",
        "calcom_sync_burn_rate",
    }
)
"""The metrics whose population the feature flags decide."""
MEANWHILE = timedelta(minutes=5)
"""A cache hit in the log so shortly before the check means that keys should be there (they live for a minute)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier checks have seen, as far as this one needs it.

    :param sightings: when a kind of log line was last seen, by name (``<key>.alive``, ``.hit``, ``.value`` …).
    :param measured: the metrics that have ever had something to measure.
    :param flags: the feature flags by ``as_of``, oldest first: each check's in the last weeks and the one before.
    """

    sightings: Mapping[str, datetime] = field(default_factory=dict)
    measured: frozenset[str] = frozenset()
    flags: Sequence[tuple[datetime, Mapping[str, Any]]] = ()


def evaluate(
    collected: Mapping[str, Collected | str],
    flags: Mapping[str, Any],
    memory: Memory,
    settings: Settings,
    timeline: Timeline,
    present: datetime,
) -> list[Verdict]:
    """Judge everything that is enabled, in the order of the settings, all companies before single ones.

    :param collected: by source name, what it gave, or the sentence that says why it gave nothing.
    :param flags: the feature flags that the eligible appointments were counted with.
    :param present: when the flags were read; only used to tell a backfill.
    """
    facts = {name: given.facts for name, given in collected.items() if isinstance(given, Collected)}
    verdicts: list[Verdict] = []
    for source in SOURCES:
        given = collected.get(source, f"{source} was not read")
        for key in settings.enabled(source):
            rule = settings.rule(key)
            if isinstance(given, Collected):
                samples = [s for s in given.samples if s.metric == key] or [
                    _blank(key, rule, timeline).lost(Loss.LOST, f"{source} gave no sample for {key}")
                ]
            else:
                samples = [_blank(key, rule, timeline).lost(Loss.SOURCE, given)]
            for sample in sorted(samples, key=lambda s: s.company_id):
                believed = _believe(sample, rule, facts, memory, settings, timeline)
                verdict = judge(believed, settings)
                if key in FLAGS_MATTER and not believed.loss:
                    verdict = _doubt_flags(verdict, flags, memory, timeline, settings, present)
                verdicts.append(_muted(verdict, settings, timeline.as_of))
    return verdicts


def judge(sample: Sample, settings: Settings) -> Verdict:
    """Hold one sample against its bounds, which are strict; the value is compared unrounded."""
    rule = settings.rule(sample.metric)
    threshold = threshold_text(rule)
    sample = replace(sample, detail={**sample.detail, "threshold": threshold})
    if sample.loss:
        cap = 1 if sample.loss is Loss.NEVER else 3
        return Verdict(sample, State.UNKNOWN, None, sample.reason, threshold, level_cap=cap)
    verdict = _judge_rule(sample, rule) if isinstance(rule, LogRule) else _judge_metric(sample, rule)
    reason = "; ".join(part for part in (verdict.reason, sample.reason) if part)
    return replace(verdict, threshold=threshold, reason=reason)


def check_state(verdicts: Sequence[Verdict]) -> State:
    """The worst state of the rows for all companies; findings at INFO do not count."""
    return worst(
        v.state
        for v in verdicts
        if v.company_id == ALL_COMPANIES and not (v.state.bad and v.severity is Severity.INFO)
    )


def threshold_text(rule: Metric | LogRule) -> str:
    """The bounds in words, such as ``< 95 % (critical < 90 %)``."""
    if isinstance(rule, LogRule):
        return f"> {rule.more_than}" + (f" in {length_text(rule.within)}" if rule.within else "")
    if rule.budget is not None:
        return burn_rate.threshold_text(rule.budget)
    sign = "<" if rule.better == "higher" else ">"
    unit = f" {rule.unit}" if rule.unit in ("%", "ms") else ""
    if rule.alert is None:
        wanted = ">" if rule.better == "higher" else "<"
        return f"target {wanted} {rule.target:g}{unit}" if rule.target is not None else "none"
    text = f"{sign} {rule.alert:g}{unit}"
    if rule.critical is not None:
        text += f" (critical {sign} {rule.critical:g}{unit})"
    if rule.worse:
        share = f"{rule.worse.above_share:.0%}".replace("%", " %")
        text += f" ({rule.worse.severity}: {rule.worse.from_} or more and above {share})"
    return text


def _judge_rule(sample: Sample, rule: LogRule) -> Verdict:
    count = sample.value or 0
    reason = (
        f"{figure(count)} in {length_text(rule.within)} at most"
        if rule.within
        else f"{figure(count)} since the last check"
    )
    if count > rule.more_than:
        state = State.CRITICAL if rule.severity is Severity.CRITICAL else State.ALERT
        return Verdict(sample, state, rule.severity, reason)
    return Verdict(sample, State.OK, None, reason if count else "")


def _judge_metric(sample: Sample, metric: Metric) -> Verdict:
    if metric.budget is not None:
        return burn_rate.judge(sample, metric)
    volume = sample.denominator or 0
    if volume < metric.min_volume:
        return Verdict(
            sample,
            State.INSUFFICIENT_DATA,
            None,
            f"{figure(volume)} {metric.population}, fewer than {metric.min_volume}",
        )
    if sample.value is None:
        return Verdict(sample, State.INSUFFICIENT_DATA, None, "nothing to measure")
    if metric.source == "redis" and not sample.value:
        return Verdict(
            sample, State.INSUFFICIENT_DATA, None, "no key at this instant; they live for a minute"
        )
    reason = _counts(sample, metric)
    if _past(sample.value, metric.critical, metric):
        return Verdict(
            sample, State.CRITICAL, Severity.CRITICAL, reason, certain=_sure(sample, metric, metric.critical)
        )
    if _past(sample.value, metric.alert, metric):
        severity, state = metric.severity, State.ALERT
        if (
            metric.worse
            and sample.value >= metric.worse.from_
            and sample.value > metric.worse.above_share * volume
        ):
            severity = metric.worse.severity
        if severity is Severity.CRITICAL:
            state = State.CRITICAL
        return Verdict(sample, state, severity, reason, certain=_sure(sample, metric, metric.alert))
    return Verdict(sample, State.OK if _on_target(sample.value, metric) else State.DEGRADED, None, reason)


def _past(value: float, bound: float | None, metric: Metric) -> bool:
    if bound is None:
        return False
    return value < bound if metric.better == "higher" else value > bound


def _on_target(value: float, metric: Metric) -> bool:
    # Where target and alert threshold are the same number there is no room between them to be degraded in.
    if metric.target is None or metric.target == metric.alert:
        return True
    return value > metric.target if metric.better == "higher" else value < metric.target


def _sure(sample: Sample, metric: Metric, bound: float | None) -> bool:
    """Only a rate can be an accident of a small sample; the bound as a share of failures."""
    if metric.kind != "rate" or bound is None:
        return True
    total = sample.denominator or 0
    good = sample.numerator or 0
    failures, limit = (
        (total - good, (100 - bound) / 100) if metric.better == "higher" else (good, bound / 100)
    )
    return certain(failures, total, limit)


def _counts(sample: Sample, metric: Metric) -> str:
    total, part = sample.denominator, sample.numerator
    if total is None or part is None:
        return ""
    if metric.kind == "rate":
        failures = total - part if metric.better == "higher" else part
        return f"{figure(failures)} of {figure(total)} {metric.population} {metric.failing}".strip()
    if metric.kind == "mean":
        return f"{figure(total)} {metric.population}"
    if metric.kind == "count" and metric.failing:
        return f"{figure(part)} of {figure(total)} {metric.population} {metric.failing}"
    return f"{figure(total)} {metric.population}"


def _blank(key: str, rule: Metric | LogRule, timeline: Timeline) -> Sample:
    window = timeline.window(rule) if isinstance(rule, Metric) else timeline.windows["since_last_check"]
    return Sample(key, window)


def _muted(verdict: Verdict, settings: Settings, as_of: datetime) -> Verdict:
    mute = settings.mute(verdict.metric, verdict.company_id, as_of)
    if mute is None:
        return verdict
    return replace(verdict, muted=f"muted until {_local(mute.until, settings)}: {mute.reason}")


# --- can the measurement be believed? -----------------------------------------------------------------------


def _believe(
    sample: Sample,
    rule: Metric | LogRule,
    facts: Mapping[str, Mapping[str, Any]],
    memory: Memory,
    settings: Settings,
    timeline: Timeline,
) -> Sample:
    if sample.loss is Loss.LOST and sample.metric not in memory.measured:
        return sample.lost(Loss.NEVER, sample.reason)
    if sample.loss:
        return sample
    seen = _Sightings(memory.sightings, facts.get("log", {}).get("sightings", {}))
    if isinstance(rule, Metric) and rule.source == "redis":
        return _believe_cache(sample, seen, memory, timeline)
    if isinstance(rule, Metric) and rule.source != "log":
        return sample
    if isinstance(rule, LogRule) and (sample.value or 0) > rule.more_than:
        return sample  # what fires has spoken
    missing = _missing_part(sample, rule, seen, settings, timeline.as_of)
    if missing:
        return sample.lost(*missing)
    traffic = facts.get("mysql", {}).get("traffic")
    return _believe_alive(sample, rule, seen, traffic, settings, timeline.as_of)


class _Sightings:
    """When a kind of line was last seen, in this check's reading or in an earlier one."""

    def __init__(self, remembered: Mapping[str, datetime], now: Mapping[str, str]) -> None:
        self._remembered, self._now = remembered, now

    def last(self, name: str) -> datetime | None:
        found = [self._remembered[name]] if name in self._remembered else []
        if name in self._now:
            found.append(utc(self._now[name]))
        return max(found, default=None)


def glob_sighting(glob: str) -> str:
    """The name under which is remembered when a pattern of ``application.logs`` last matched a file."""
    return f"glob:{glob}"[-100:]


def glob_sightings(facts: Mapping[str, Any], as_of: datetime) -> dict[str, str]:
    """The patterns of ``application.logs`` that matched a file at this check, as sightings."""
    return {glob_sighting(g): as_of.isoformat() for g, files in facts.get("globs", {}).items() if files}


def measured_whole(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The sources that were read whole; of a log without one of its hosts the next check reads this stretch again."""
    return [source for source, given in facts.items() if not given.get("missing_hosts")]


def believable(
    collected: Mapping[str, Collected | str], memory: Memory, settings: Settings, as_of: datetime
) -> dict[str, Collected | str]:
    """What the sources gave, without a log of which files that were there lately are not there any more.

    After ``silent_after`` it is the missing lines that are told, so a kind of file that ended for good is no alarm.
    """
    log = collected.get("log")
    if isinstance(log, Collected):
        for glob, files in log.facts.get("globs", {}).items():
            last = memory.sightings.get(glob_sighting(glob))
            if not files and last is not None and last >= as_of - settings.silent_after:
                return {**collected, "log": _vanished(glob, last, settings)}
    return dict(collected)


def _vanished(glob: str, last: datetime, settings: Settings) -> str:
    return (
        f"{glob} matches no file any more, it did at {_local(last, settings)}: bring the log back, or remove the"
        " pattern from application.logs"
    )


def _believe_alive(
    sample: Sample,
    rule: Metric | LogRule,
    seen: _Sightings,
    traffic: int | None,
    settings: Settings,
    as_of: datetime,
) -> Sample:
    """Silence is good news only while the source still speaks."""
    if not rule.alive or traffic == 0:
        return sample
    last = seen.last(f"{sample.metric}.alive")
    if last is not None and last >= as_of - settings.silent_after:
        return sample
    lines = " and ".join(f'"{p}"' for p in rule.alive)
    shown = f"{traffic} appointments" if traffic is not None else "unknown traffic"
    since = f"since {_local(last, settings)}" if last else "ever"
    return sample.lost(
        Loss.LOST if last else Loss.NEVER,
        f"no log line with {lines} {since}, with {shown} meanwhile: check application.logs and Laravel's LOG_LEVEL,"
        f" or set {_path(rule, sample.metric)}.alive",
    )


def _missing_part(
    sample: Sample, rule: Metric | LogRule, seen: _Sightings, settings: Settings, as_of: datetime
) -> tuple[Loss, str] | None:
    """A rate of 0 % or 100 %, or a mean of nothing, must not come out of a line that does not exist."""
    if not isinstance(rule, Metric):
        return None
    key, path = sample.metric, _path(rule, sample.metric)
    fresh = as_of - settings.silent_after
    if rule.patterns.value and not sample.denominator:
        record, value = seen.last(f"{key}.record"), seen.last(f"{key}.value")
        if record and value is None:
            return Loss.NEVER, (
                f"the log's lines carry no number that {path}.patterns.value finds: add duration_ms to the"
                f" observer's line, or set {path}.enabled to false"
            )
        if value and (sample.detail.get("records") or (record and record - value > settings.silent_after)):
            return Loss.LOST, f"the log's lines carry no number any more, last seen {_local(value, settings)}"
    if rule.patterns.hit:
        for part, other in (("hit", "miss"), ("miss", "hit")):
            names = {"hit": "hits", "miss": "misses"}
            if sample.detail.get(names[other]) and not sample.detail.get(names[part]):
                last = seen.last(f"{key}.{part}")
                if last is None:
                    return Loss.NEVER, (
                        f"the log has never held a line for a {part}, so a rate would be made up:"
                        f" correct {path}.patterns.{part}, or set {path}.enabled to false"
                    )
                if last < fresh:
                    return Loss.LOST, f"no line for a {part} since {_local(last, settings)}"
    return None


def _believe_cache(sample: Sample, seen: _Sightings, memory: Memory, timeline: Timeline) -> Sample:
    if sample.value:
        return sample
    hit = seen.last("availability_cache_hit_rate.hit")
    since = timeline.windows["since_last_check"].start
    if sample.metric not in memory.measured:
        if hit and hit >= since:
            return sample.lost(
                Loss.NEVER,
                "no key matches although the log shows cache hits: check application.cache_key_pattern and the"
                " database number of the connection processing_time_redis",
            )
    elif hit and hit >= timeline.as_of - MEANWHILE:
        return sample.lost(
            Loss.LOST,
            "no key matches although the log shows a cache hit within five minutes: check"
            " application.cache_key_pattern and Laravel's cache prefix",
        )
    return sample


def _local(instant: datetime, settings: Settings) -> str:
    return f"{instant.astimezone(settings.zone):%Y-%m-%d %H:%M}"


def _path(rule: Metric | LogRule, key: str) -> str:
    return f"{'metrics' if isinstance(rule, Metric) else 'log_rules'}.{key}"


# --- feature flags over time --------------------------------------------------------------------------------


def _doubt_flags(
    verdict: Verdict,
    flags: Mapping[str, Any],
    memory: Memory,
    timeline: Timeline,
    settings: Settings,
    present: datetime,
) -> Verdict:
    doubt = flags_doubt(flags, memory.flags, verdict.sample.window, timeline, settings, present)
    if not doubt:
        return verdict
    return replace(verdict, reason="; ".join(p for p in (verdict.reason, doubt) if p), level_cap=1)


def flags_doubt(
    flags: Mapping[str, Any],
    history: Sequence[tuple[datetime, Mapping[str, Any]]],
    window: Window,
    timeline: Timeline,
    settings: Settings,
    present: datetime,
) -> str:
    """Why a count that the flags decide may mix two populations; empty when they held for the whole window.

    :param history: the flags by ``as_of``, oldest first; the last one before the window counts too.
    """
    if not flags.get("configured"):
        return ""
    before = [(at, f) for at, f in history if at < window.end]
    if not before:
        late = present - timeline.as_of > timedelta(hours=1)
        return "the feature flags of that time were not recorded: today's were used" if late else ""
    earlier = [entry for entry in before if entry[0] <= window.start][-1:]
    within = [entry for entry in before if entry[0] > window.start]
    changed = [at for at, f in [*earlier, *within] if dict(f) != dict(flags)]
    if not changed:
        return ""
    return f"the feature flags changed in this window (after {_local(changed[-1], settings)})"
