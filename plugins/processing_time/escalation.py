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
from datetime import datetime

from processing_time.findings import Finding, findings
from processing_time.grouping import grouped, one_proposal
from processing_time.life_cycle import Key, Moment, Recheck, counts, next_step
from processing_time.model import (
    ALL_COMPANIES,
    Acknowledgement,
    Action,
    Alert,
    AlertState,
    Decision,
    Severity,
    Verdict,
)
from processing_time.settings import Settings

__all__ = ["Recheck", "Standing", "counts", "decide"]


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
    moment = Moment(
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
            before, acknowledged = _acknowledge(before, acknowledgements, moment)
        decision = next_step(finding, before, moment)
        decisions += _in_order(acknowledged, decision)
        spoke = decision.after is not None and decision.after.state is not AlertState.RESOLVED
        if spoke and finding.severity is Severity.CRITICAL:
            critical.add(finding.key)
    return grouped(one_proposal(decisions), settings)


def _inhibited(finding: Finding, critical: set[Key], inhibit: Mapping[str, tuple[str, ...]]) -> Finding:
    """While a cause is critical, for all companies or for this one, its effects stay silent."""
    for cause, effects in inhibit.items():
        if finding.rule in effects and not critical.isdisjoint(
            {(cause, ALL_COMPANIES), (cause, finding.company_id)}
        ):
            return replace(finding, silent=f"{cause} is critical and speaks for it")
    return finding


def _acknowledge(
    alert: Alert, acknowledgements: Sequence[Acknowledgement] | None, moment: Moment
) -> tuple[Alert, Decision | None]:
    """The alert after its reactions were looked at, and a decision when somebody's is new.

    A reaction stays on the message when its hold has ended, so only one that was not there before acknowledges.
    """
    lapsed = alert.acknowledged_until is None or moment.as_of >= alert.acknowledged_until
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
        acknowledged_until=min(new.at, moment.as_of) + moment.settings.escalation.ack_hold,
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
