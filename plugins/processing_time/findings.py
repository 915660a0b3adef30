# SPDX-License-Identifier: MIT
"""From verdicts to what may alert: passed thresholds, lost measurements, dead sources, and what keeps them silent.

A metric that passes its threshold speaks under its own name, one that cannot be measured under ``<metric>.unknown``,
and a source that cannot be read at all under ``source.<name>.unknown``, for all its metrics at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from processing_time.evaluation import SOURCES
from processing_time.model import ALL_COMPANIES, Loss, Severity, State, Verdict
from processing_time.settings import Settings

UNKNOWN = ".unknown"


class Evidence(Enum):
    """What a check tells about an alert: it fires, it is clear, or this check cannot tell."""

    BAD = auto()
    GOOD = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says about one rule and company.

    ``severity`` belongs to bad evidence; ``lasting`` replaces it from the second counted check in a row on.
    ``level_cap`` is 1 where nobody may be paged. ``silent`` says why it neither opens nor speaks, ``closed`` why its
    alert closes whatever the evidence. ``once``: said when it opens and never again.
    """

    rule: str
    company_id: int
    evidence: Evidence
    reason: str
    severity: Severity | None = None
    lasting: Severity | None = None
    verdict: Verdict | None = None
    level_cap: int = 3
    hides: tuple[str, ...] = ()
    silent: str = ""
    closed: str = ""
    once: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """What it has in common with its alert."""
        return (self.rule, self.company_id)


def source_rule(source: str) -> str:
    """The name under which a dead source alerts."""
    return f"source.{source}{UNKNOWN}"


def findings(
    verdicts: Sequence[Verdict], open_keys: Set[tuple[str, int]], settings: Settings, as_of: datetime
) -> list[Finding]:
    """Everything that this check has to say, dead sources first, each rule and company once.

    :param open_keys: the rules and companies whose alerts are open: they get a finding even when nothing was measured.
    :param as_of: decides which mutes hold.
    """
    told = [v for v in verdicts if _alerts(v.metric, v.company_id, settings)]
    hidden: set[str] = set()
    found: list[Finding] = []
    for source in SOURCES:
        if finding := _source(source, told, open_keys, settings):
            found.append(finding)
            hidden.update(finding.hides)
    for verdict in told:
        found.append(_threshold(verdict))
        key = (verdict.metric + UNKNOWN, verdict.company_id)
        if verdict.company_id == ALL_COMPANIES and (verdict.state is State.UNKNOWN or key in open_keys):
            found.append(_lost(verdict, settings, hidden))
    found.extend(_unmeasured(open_keys - {f.key for f in found}, settings))
    return [_with_mute(finding, settings, as_of) for finding in found]


def _alerts(metric: str, company_id: int, settings: Settings) -> bool:
    """Whether the settings let this row raise alerts at all."""
    if metric not in settings.metrics and metric not in settings.log_rules:
        return False
    rule = settings.rule(metric)
    return rule.enabled and (company_id == ALL_COMPANIES or rule.alert_per_company)


def _threshold(verdict: Verdict) -> Finding:
    state = verdict.state
    evidence = Evidence.BAD if state.bad else Evidence.GOOD if state.good else Evidence.NONE
    return Finding(
        verdict.metric,
        verdict.company_id,
        evidence,
        verdict.reason or f"the state is {state}",
        severity=verdict.severity if state.bad else None,
        verdict=verdict,
        level_cap=verdict.level_cap if verdict.certain else 1,
    )


def _lost(verdict: Verdict, settings: Settings, hidden: Collection[str]) -> Finding:
    """Too little data is no proof that the measurement is back, so only a judged value clears it."""
    finding = Finding(
        verdict.metric + UNKNOWN, verdict.company_id, Evidence.GOOD, "measured again", verdict=verdict
    )
    if verdict.state is State.INSUFFICIENT_DATA:
        return replace(finding, evidence=Evidence.NONE, reason=verdict.reason)
    if verdict.state is not State.UNKNOWN:
        return finding
    return replace(
        finding,
        evidence=Evidence.BAD,
        reason=verdict.reason or "it could not be measured",
        severity=Severity.MEDIUM,
        lasting=Severity.HIGH,
        level_cap=verdict.level_cap,
        once=verdict.sample.loss is Loss.NEVER,
        silent=f"{_source_of(verdict.metric, settings)} speaks for it" if verdict.metric in hidden else "",
    )


def _source_of(metric: str, settings: Settings) -> str:
    return next(source_rule(s) for s in SOURCES if metric in settings.enabled(s))


def _source(
    source: str, verdicts: Sequence[Verdict], open_keys: Set[tuple[str, int]], settings: Settings
) -> Finding | None:
    """One finding for a source that could not be read: all its enabled metrics are lost, but for what fires anyway."""
    rule, names = source_rule(source), settings.enabled(source)
    own = [v for v in verdicts if v.company_id == ALL_COMPANIES and v.metric in names]
    lost = [v for v in own if v.sample.loss is Loss.SOURCE]
    if lost and len(lost) + sum(v.state.bad for v in own) == len(names):
        return Finding(
            rule,
            ALL_COMPANIES,
            Evidence.BAD,
            lost[0].reason or f"{source} could not be read",
            severity=Severity.MEDIUM,
            lasting=Severity.HIGH,
            verdict=lost[0],
            hides=tuple(v.metric for v in lost),
            closed=lost[0].muted if all(v.muted for v in lost) else "",
        )
    if (rule, ALL_COMPANIES) not in open_keys or not own:
        return None
    return Finding(rule, ALL_COMPANIES, Evidence.GOOD, f"{source} can be read again")


def _unmeasured(keys: Set[tuple[str, int]], settings: Settings) -> Iterator[Finding]:
    """Open alerts that no row speaks for: their rule is gone from the settings, or had nothing to count."""
    for rule, company_id in sorted(keys):
        if rule.startswith("source."):
            wanted = bool(settings.enabled(rule.removeprefix("source.").removesuffix(UNKNOWN)))
        else:
            wanted = _alerts(rule.removesuffix(UNKNOWN), company_id, settings)
        closed = "" if wanted else "disabled in the settings"
        yield Finding(rule, company_id, Evidence.NONE, "no row in this check", closed=closed)


def _with_mute(finding: Finding, settings: Settings, as_of: datetime) -> Finding:
    """A mute of a metric covers its loss too; one of ``<metric>.unknown`` covers the loss only."""
    for rule in (finding.rule, finding.rule.removesuffix(UNKNOWN)):
        if mute := settings.mute(rule, finding.company_id, as_of):
            until = f"{mute.until.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}"
            return replace(finding, closed=f"muted until {until}: {mute.reason}")
    own = finding.verdict.muted if finding.verdict and not finding.hides else ""
    return replace(finding, closed=own) if own else finding
