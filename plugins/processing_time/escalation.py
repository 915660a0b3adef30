# SPDX-License-Identifier: MIT
"""Verdicts, open alerts and the clock to decisions: who is told what, when, and why. Nothing is read or written here.

An alert opens, may get worse and rise by levels, is acknowledged, and resolves. Evidence is needed for each of these:
a check that could not measure, or had too little data, changes nothing. Levels: 1 tells the channel, 2 mentions the
on-call, 3 proposes to disable the feature. A severity or a level never falls while the alert is open.

A check *counts* when it is at least ``escalation.min_gap`` after the last counted one. One that does not count, such
as a repeated one, may open an alert and make it worse; it does not clear, remind, or raise a level by waiting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from processing_time.findings import UNKNOWN, Evidence, Finding, findings
from processing_time.grouping import grouped, one_proposal
from processing_time.model import (
    ALL_COMPANIES,
    Acknowledgement,
    Action,
    Alert,
    AlertState,
    Decision,
    Severity,
    State,
    Verdict,
)
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


@dataclass(frozen=True, slots=True)
class Standing:
    """What escalation remembers between checks.

    :param open_alerts: every alert that is not resolved.
    :param last_counted_at: the ``as_of`` of the newest counted check up to now (this one's own, when it is repeated).
    :param streaks: bad counted checks in a row, strictly before this one, of rules that wait for more than one.
        A check without evidence neither breaks a streak nor lengthens it.
    """

    open_alerts: Sequence[Alert] = ()
    last_counted_at: datetime | None = None
    streaks: Mapping[Key, int] = field(default_factory=dict)


def counts(as_of: datetime, last_counted_at: datetime | None, settings: Settings) -> bool:
    """Whether a check is far enough from the last counted one to count itself."""
    return last_counted_at is None or as_of - last_counted_at >= settings.escalation.min_gap


def decide(
    verdicts: Sequence[Verdict],
    standing: Standing,
    acknowledgements: Sequence[Acknowledgement] | None,
    settings: Settings,
    as_of: datetime,
    recheck: Recheck,
) -> list[Decision]:
    """Decide about every rule that this check speaks of and every open alert, worst causes first.

    A rule that is acknowledged and changes in the same check gets two decisions; they are applied in order.

    :param acknowledgements: the reactions that stand on the root messages now; None when they could not be read.
    :param as_of: the check's instant, not before that of any finished check; UTC.
    :param recheck: see :data:`Recheck`; needed for alerts with subjects only.
    """
    check = _Check(
        as_of, counts(as_of, standing.last_counted_at, settings), settings, standing.streaks, recheck
    )
    alerts = {alert.key: alert for alert in standing.open_alerts}
    inhibit = settings.escalation.inhibit
    critical: set[Key] = set()
    decisions: list[Decision] = []
    # Causes come first, so that what they silence knows whether they spoke.
    for found in sorted(
        findings(verdicts, alerts.keys(), settings, as_of), key=lambda f: f.rule not in inhibit
    ):
        finding = _inhibited(found, critical, inhibit)
        before, acknowledged = alerts.get(finding.key), None
        if before is not None:
            before, acknowledged = _acknowledge(before, acknowledgements, check)
        decision = _about(finding, before, check)
        decisions += _in_order(acknowledged, decision)
        spoke = decision.after is not None and decision.after.state is not AlertState.RESOLVED
        if spoke and finding.severity is Severity.CRITICAL:
            critical.add(finding.key)
    return grouped(one_proposal(decisions), settings)


@dataclass(frozen=True, slots=True)
class _Check:
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


def _inhibited(finding: Finding, critical: set[Key], inhibit: Mapping[str, tuple[str, ...]]) -> Finding:
    """While a cause is critical, for all companies or for this one, its effects stay silent."""
    for cause, effects in inhibit.items():
        if finding.rule in effects and not critical.isdisjoint(
            {(cause, ALL_COMPANIES), (cause, finding.company_id)}
        ):
            return replace(finding, silent=f"{cause} is critical and speaks for it")
    return finding


# --- one rule -----------------------------------------------------------------------------------------------


def _about(finding: Finding, before: Alert | None, check: _Check) -> Decision:
    if before is None:
        return _quiet(finding, check)
    if finding.closed:
        return _resolved(finding, before, before, finding.closed, check)
    if finding.evidence is Evidence.BAD:
        return _firing(finding, before, check)
    if finding.evidence is Evidence.GOOD:
        return _clearing(finding, before, check)
    return _nothing(finding, f"cannot tell: {finding.reason}", before, before)


def _quiet(finding: Finding, check: _Check) -> Decision:
    """No alert is open: open one, or say why not."""
    if finding.closed or finding.evidence is not Evidence.BAD or finding.silent:
        return _nothing(finding, finding.closed or finding.silent or finding.reason)
    # A lost measurement is said at once; patience is for thresholds.
    needed = 1 if finding.rule.endswith(UNKNOWN) else check.number(finding.rule, "for_checks")
    row = max(1, check.streaks.get(finding.key, 0) + check.counted)
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
        opened_at=check.as_of,
        last_seen_at=check.as_of,
        last_counted_at=check.as_of,
        last_told_at=check.as_of,
        critical_checks=int(critical),
        subjects=_subjects(finding, ()),
    )
    uncertain = critical and finding.verdict is not None and not finding.verdict.certain
    reason = finding.reason + ("; too small a sample to page anybody" if uncertain else "")
    return _decision(Action.OPEN, finding, reason, None, alert, mention=page, diagnose=page)


def _firing(finding: Finding, before: Alert, check: _Check) -> Decision:
    """An open alert is bad again: count it, and see whether it got worse, rises, or is due for a reminder."""
    counted = check.counts_for(before)
    again = counted and before.bad_checks > 0
    severity = (finding.lasting if again else None) or finding.severity or Severity.HIGH
    after = _counted_bad(finding, before, severity, counted, check)
    if finding.silent:
        return _nothing(finding, finding.silent, before, after)
    if finding.once:
        return _nothing(finding, "said once, and not yet disabled", before, after)
    worse = severity.rank > before.severity.rank
    held = before.state is AlertState.ACKNOWLEDGED and not worse
    wanted, why = _level(severity, before, after, again, check)
    level = before.level if held else max(before.level, min(wanted, finding.level_cap))
    page = min(level, finding.level_cap) >= ON_CALL and severity.rank >= Severity.HIGH.rank
    if worse:
        why = f"severity rose from {before.severity} to {severity}"
        after = replace(after, severity=severity, state=AlertState.FIRING, acknowledged_until=None)
    if worse or level > before.level:
        toggle = level >= PROPOSE > before.level
        after = replace(after, level=level, last_told_at=check.as_of)
        if toggle:
            after = replace(after, toggle_requested_at=check.as_of)
        decision = _decision(
            Action.ESCALATE, finding, why, before, after, mention=page, diagnose=page and not toggle
        )
        return replace(decision, toggle=toggle, moved=worse)
    if held:
        return _nothing(finding, f"acknowledged by {before.acknowledged_by}", before, after)
    if counted and check.as_of - before.last_told_at >= check.remind_after(finding.rule):
        after = replace(after, last_told_at=check.as_of)
        return _decision(Action.REMIND, finding, "still firing", before, after, mention=page)
    reason = "firing, nothing new" if counted else "firing, too soon after the last check to count"
    return _nothing(finding, reason, before, after)


def _counted_bad(finding: Finding, before: Alert, severity: Severity, counted: bool, check: _Check) -> Alert:
    critical = severity is Severity.CRITICAL
    after = replace(
        before,
        last_seen_at=check.as_of,
        good_checks=0,
        critical_checks=max(before.critical_checks, int(critical)),
        subjects=_subjects(finding, before.subjects),
    )
    if not counted:
        return after
    return replace(
        after,
        last_counted_at=check.as_of,
        bad_checks=before.bad_checks + 1,
        critical_checks=before.critical_checks + 1 if critical else 0,
    )


def _level(severity: Severity, before: Alert, after: Alert, again: bool, check: _Check) -> tuple[int, str]:
    """The level that the conditions ask for, and why; nothing is proposed before the on-call was told."""
    if severity is Severity.CRITICAL:
        waited = after.critical_checks - 1
        if again and before.level >= ON_CALL and waited >= check.settings.escalation.toggle_after:
            return PROPOSE, f"still critical {waited} checks later: disabling the feature is proposed"
        return ON_CALL, "critical, and certain by now"
    if severity is Severity.HIGH and again and before.severity.rank >= Severity.HIGH.rank:
        return ON_CALL, "still firing and not acknowledged"
    return 1, ""


def _clearing(finding: Finding, before: Alert, check: _Check) -> Decision:
    """An open alert is good: count it; resolve after enough of these, when its appointments are dealt with."""
    if not check.counts_for(before):
        return _nothing(finding, "clear, too soon after the last check to count", before, before)
    good, needed = before.good_checks + 1, check.number(finding.rule, "clear_checks")
    after = replace(before, last_counted_at=check.as_of, good_checks=good, bad_checks=0, critical_checks=0)
    if good < needed:
        return _nothing(finding, f"clear for {good} of {needed} checks", before, after)
    left = _left_over(before, check)
    if left and finding.rule in WORK_LISTS:
        return _nothing(finding, left, before, after)
    return _resolved(finding, before, after, left or _clear(finding, good, check), check)


def _left_over(alert: Alert, check: _Check) -> str:
    """What the alert's own appointments still want although the window is clean; empty when nothing."""
    if not alert.subjects:
        return ""
    if alert.key not in check.recheck:
        return f"window clean, {len(alert.subjects)} appointments not asked again"
    still, of = check.recheck[alert.key]
    failing = getattr(check.settings.rule(alert.rule), "failing", "") or "failing"
    return f"window clean, {still} of {of} still {failing}" if still else ""


def _clear(finding: Finding, good: int, check: _Check) -> str:
    reason = f"clear for {good} checks" if good > 1 else "clear"
    verdict = finding.verdict
    if verdict and verdict.metric == finding.rule and verdict.state is State.DEGRADED:
        rule = check.settings.rule(finding.rule)
        reason += f", still {'above' if getattr(rule, 'better', '') == 'lower' else 'below'} target"
    return reason


def _subjects(finding: Finding, known: tuple[int, ...]) -> tuple[int, ...]:
    ids = finding.verdict.sample.detail.get("ids", ()) if finding.verdict else ()
    return tuple(dict.fromkeys((*known, *ids)))[:SUBJECTS]


def _nothing(
    finding: Finding, reason: str, before: Alert | None = None, after: Alert | None = None
) -> Decision:
    return _decision(Action.NOTHING, finding, reason, before, after)


def _resolved(finding: Finding, before: Alert, after: Alert, reason: str, check: _Check) -> Decision:
    after = replace(after, state=AlertState.RESOLVED, resolved_at=check.as_of)
    return _decision(Action.RESOLVE, finding, reason, before, after)


def _decision(
    action: Action,
    finding: Finding,
    reason: str,
    before: Alert | None,
    after: Alert | None,
    *,
    mention: bool = False,
    diagnose: bool = False,
) -> Decision:
    return Decision(
        action,
        finding.rule,
        finding.company_id,
        reason,
        before,
        after,
        finding.verdict,
        mention=mention,
        diagnose=diagnose,
        hides=finding.hides,
    )


# --- acknowledgements ---------------------------------------------------------------------------------------


def _acknowledge(
    alert: Alert, acknowledgements: Sequence[Acknowledgement] | None, check: _Check
) -> tuple[Alert, Decision | None]:
    """The alert after its reactions were looked at, and a decision when somebody's is new.

    A reaction stays on the message when its hold has ended, so only one that was not there before acknowledges.
    """
    lapsed = alert.acknowledged_until is None or check.as_of >= alert.acknowledged_until
    if alert.state is AlertState.ACKNOWLEDGED and lapsed:
        current = replace(alert, state=AlertState.FIRING)
    else:
        current = alert
    if acknowledgements is None:
        return current, None
    standing = sorted((a for a in acknowledgements if a.alert_id == alert.id), key=lambda a: a.at)
    current = replace(current, acknowledgers=tuple(dict.fromkeys(a.user for a in standing)))
    new = next((a for a in standing if a.user not in alert.acknowledgers), None)
    if new is None:
        return current, None
    current = replace(
        current,
        state=AlertState.ACKNOWLEDGED,
        acknowledged_by=new.user,
        acknowledged_at=new.at,
        # Counted from the check that saw it: the next reminder comes with a check, not just after one.
        acknowledged_until=min(new.at, check.as_of) + check.settings.escalation.ack_hold,
    )
    return current, Decision(
        Action.ACKNOWLEDGE, alert.rule, alert.company_id, f"acknowledged by {new.user}", alert, current
    )


def _in_order(acknowledged: Decision | None, decision: Decision) -> list[Decision]:
    if acknowledged is None:
        return [decision]
    if decision.action is Action.NOTHING:
        return [replace(acknowledged, after=decision.after, verdict=decision.verdict)]
    return [acknowledged, decision]
