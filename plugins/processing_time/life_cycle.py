# SPDX-License-Identifier: MIT
"""One alert at one check: it opens, stays, gets worse, rises by a level, is due for a reminder, clears or closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from processing_time.findings import UNKNOWN, Evidence, Finding
from processing_time.model import Action, Alert, AlertState, Decision, Severity, State
from processing_time.settings import Settings

ON_CALL, PROPOSE = 2, 3
"""Levels: mention the on-call; propose to disable the feature."""
SUBJECTS = 100
"""An alert remembers at most so many appointments."""
WORK_LISTS = frozenset({"orphaned_appointments"})
"""A clean window does not resolve these: the appointments that they were about must be dealt with."""

Key = tuple[str, int]
Recheck = Mapping[Key, tuple[int, int]]
"""By rule and company of an open alert: how many of its recorded subjects are still failing, and of how many."""


def counts(as_of: datetime, last_counted_at: datetime | None, settings: Settings) -> bool:
    """Whether a check is far enough from the last counted one to count itself."""
    return last_counted_at is None or as_of - last_counted_at >= settings.escalation.min_gap


@dataclass(frozen=True, slots=True)
class Moment:
    """A check as far as an alert needs it: its instant, whether it counts, and what is remembered or was asked again."""

    as_of: datetime
    counted: bool
    settings: Settings
    streaks: Mapping[Key, int]
    recheck: Recheck

    def counts_for(self, alert: Alert) -> bool:
        """An alert may have opened in a check that did not count: keep the distance from that one too."""
        return self.counted and counts(self.as_of, alert.last_counted_at, self.settings)

    def number(self, rule: str, name: str) -> int:
        own = self._own(rule, name)
        return int(getattr(self.settings.escalation, name) if own is None else own)

    def remind_after(self, rule: str) -> timedelta:
        own: timedelta | None = self._own(rule, "remind_after")
        return self.settings.escalation.remind_after if own is None else own

    def _own(self, rule: str, name: str) -> Any:
        key = rule.removesuffix(UNKNOWN)
        known = key in self.settings.metrics or key in self.settings.log_rules
        return getattr(self.settings.rule(key), name) if known else None


def next_step(finding: Finding, before: Alert | None, moment: Moment) -> Decision:
    """What is done about a rule.

    :param before: its open alert, if there is one.
    """
    if before is None:
        return _quiet(finding, moment)
    if finding.closed:
        return _resolved(finding, before, before, finding.closed, moment)
    if finding.evidence is Evidence.BAD:
        return _firing(finding, before, moment)
    if finding.evidence is Evidence.GOOD:
        return _clearing(finding, before, moment)
    return _nothing(finding, f"cannot tell: {finding.reason}", before, before)


def _quiet(finding: Finding, moment: Moment) -> Decision:
    """No alert is open: open one, or say why not."""
    if finding.closed or finding.evidence is not Evidence.BAD or finding.silent:
        return _nothing(finding, finding.closed or finding.silent or finding.reason)
    # A lost measurement is said at once; patience is for thresholds.
    needed = 1 if finding.rule.endswith(UNKNOWN) else moment.number(finding.rule, "for_checks")
    row = max(1, moment.streaks.get(finding.key, 0) + moment.counted)
    if row < needed:
        return _nothing(finding, f"bad for {row} of {needed} checks")
    critical = finding.severity is Severity.CRITICAL
    page = critical and finding.level_cap >= ON_CALL
    alert = Alert(
        rule=finding.rule,
        company_id=finding.company_id,
        severity=finding.severity or Severity.HIGH,
        level=ON_CALL if page else 1,
        state=AlertState.FIRING,
        opened_at=moment.as_of,
        last_seen_at=moment.as_of,
        last_counted_at=moment.as_of,
        last_told_at=moment.as_of,
        critical_checks=int(critical),
        subjects=_subjects(finding, ()),
    )
    uncertain = critical and finding.verdict is not None and not finding.verdict.certain
    reason = finding.reason + ("; too small a sample to page anybody" if uncertain else "")
    return replace(_decision(Action.OPEN, finding, reason, None, alert, page=page), diagnose=page)


def _firing(finding: Finding, before: Alert, moment: Moment) -> Decision:
    """An open alert is bad again: count it, and see whether it got worse, rises, or is due for a reminder."""
    counted = moment.counts_for(before)
    again = counted and before.bad_checks > 0
    severity = (finding.lasting if again else None) or finding.severity or Severity.HIGH
    after = _counted_bad(finding, before, severity, counted, moment)
    if finding.silent:
        return _nothing(finding, finding.silent, before, after)
    if finding.once:
        return _nothing(finding, "said once, and not yet disabled", before, after)
    worse = severity.rank > before.severity.rank
    held = before.state is AlertState.ACKNOWLEDGED and not worse
    wanted, why = _level(severity, before, after, again, moment)
    level = before.level if held else max(before.level, min(wanted, finding.level_cap))
    page = min(level, finding.level_cap) >= ON_CALL and severity.rank >= Severity.HIGH.rank
    if worse:
        why = f"severity rose from {before.severity} to {severity}"
        after = replace(after, severity=severity, state=AlertState.FIRING, acknowledged_until=None)
    if worse or level > before.level:
        propose = level >= PROPOSE > before.level
        requested = moment.as_of if propose else before.toggle_requested_at
        after = replace(after, level=level, last_told_at=moment.as_of, toggle_requested_at=requested)
        decision = _decision(Action.ESCALATE, finding, why, before, after, page=page)
        return replace(decision, diagnose=page and not propose, toggle=propose, moved=worse)
    if held:
        return _nothing(finding, f"acknowledged by {before.acknowledged_by}", before, after)
    if counted and moment.as_of - before.last_told_at >= moment.remind_after(finding.rule):
        after = replace(after, last_told_at=moment.as_of)
        return _decision(Action.REMIND, finding, "still firing", before, after, page=page)
    reason = "firing, nothing new" if counted else "firing, too soon after the last check to count"
    return _nothing(finding, reason, before, after)


def _counted_bad(finding: Finding, before: Alert, severity: Severity, counted: bool, moment: Moment) -> Alert:
    critical = severity is Severity.CRITICAL
    after = replace(
        before,
        last_seen_at=moment.as_of,
        good_checks=0,
        critical_checks=max(before.critical_checks, int(critical)),
        subjects=_subjects(finding, before.subjects),
    )
    if not counted:
        return after
    return replace(
        after,
        last_counted_at=moment.as_of,
        bad_checks=before.bad_checks + 1,
        critical_checks=before.critical_checks + 1 if critical else 0,
    )


def _level(severity: Severity, before: Alert, after: Alert, again: bool, moment: Moment) -> tuple[int, str]:
    """The level that the conditions ask for, and why; nothing is proposed before the on-call was told."""
    if severity is Severity.CRITICAL:
        waited = after.critical_checks - 1
        if again and before.level >= ON_CALL and waited >= moment.settings.escalation.toggle_after:
            return PROPOSE, f"still critical {waited} checks later: disabling the feature is proposed"
        return ON_CALL, "critical, and certain by now"
    if severity is Severity.HIGH and again and before.severity.rank >= Severity.HIGH.rank:
        return ON_CALL, "still firing and not acknowledged"
    return 1, ""


def _clearing(finding: Finding, before: Alert, moment: Moment) -> Decision:
    """An open alert is good: count it; resolve after enough of these, when its appointments are dealt with."""
    if not moment.counts_for(before):
        return _nothing(finding, "clear, too soon after the last check to count", before, before)
    good, needed = before.good_checks + 1, moment.number(finding.rule, "clear_checks")
    after = replace(before, last_counted_at=moment.as_of, good_checks=good, bad_checks=0, critical_checks=0)
    if good < needed:
        return _nothing(finding, f"clear for {good} of {needed} checks", before, after)
    left = _left_over(before, moment)
    if left and finding.rule in WORK_LISTS:
        return _nothing(finding, left, before, after)
    return _resolved(finding, before, after, left or _clear(finding, good, moment), moment)


def _left_over(alert: Alert, moment: Moment) -> str:
    """What the alert's own appointments still want although the window is clean; empty when nothing."""
    if not alert.subjects:
        return ""
    if alert.key not in moment.recheck:
        return f"window clean, {len(alert.subjects)} appointments not asked again"
    still, of = moment.recheck[alert.key]
    failing = getattr(moment.settings.rule(alert.rule), "failing", "") or "failing"
    return f"window clean, {still} of {of} still {failing}" if still else ""


def _clear(finding: Finding, good: int, moment: Moment) -> str:
    reason = f"clear for {good} checks" if good > 1 else "clear"
    verdict = finding.verdict
    if verdict and verdict.metric == finding.rule and verdict.state is State.DEGRADED:
        rule = moment.settings.rule(finding.rule)
        reason += f", still {'above' if getattr(rule, 'better', '') == 'lower' else 'below'} target"
    return reason


def _subjects(finding: Finding, known: tuple[int, ...]) -> tuple[int, ...]:
    about = finding.verdict
    ids = about.sample.detail.get("ids", ()) if about and about.metric == finding.rule else ()
    return tuple(dict.fromkeys((*known, *ids)))[:SUBJECTS]


def _nothing(
    finding: Finding, reason: str, before: Alert | None = None, after: Alert | None = None
) -> Decision:
    return _decision(Action.NOTHING, finding, reason, before, after)


def _resolved(finding: Finding, before: Alert, after: Alert, reason: str, moment: Moment) -> Decision:
    after = replace(after, state=AlertState.RESOLVED, resolved_at=moment.as_of)
    return _decision(Action.RESOLVE, finding, reason, before, after)


def _decision(
    action: Action,
    finding: Finding,
    reason: str,
    before: Alert | None,
    after: Alert | None,
    *,
    page: bool = False,
) -> Decision:
    about = (finding.rule, finding.company_id)
    return Decision(action, *about, reason, before, after, finding.verdict, mention=page, hides=finding.hides)
