# SPDX-License-Identifier: MIT
"""What would have been alerted: stored samples, judged and escalated again with the settings of today.

Nothing is written and nobody is told. ``python -m processing_time.replay --from 2026-03-01 --to 2026-03-08`` prints the
alerts that the current settings give beside those that there were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from processing_time.escalation import Key, Standing, counts, decide
from processing_time.evaluation import judge
from processing_time.model import Acknowledgement, Action, Alert, AlertState, Decision, Verdict
from processing_time.settings import Settings

Judged = tuple[datetime, Sequence[Verdict]]


@dataclass
class Ledger:
    """What escalation remembers, kept in memory as the store keeps it."""

    open_alerts: dict[Key, Alert] = field(default_factory=dict)
    resolved: list[Alert] = field(default_factory=list)
    last_counted_at: datetime | None = None
    streaks: dict[Key, int] = field(default_factory=dict)

    @property
    def standing(self) -> Standing:
        """For :func:`~processing_time.escalation.decide`."""
        return Standing(tuple(self.open_alerts.values()), self.last_counted_at, dict(self.streaks))

    @property
    def alerts(self) -> list[Alert]:
        """Every alert that there was, by opening."""
        return sorted([*self.resolved, *self.open_alerts.values()], key=lambda a: (a.opened_at, a.id or 0))

    def keep(
        self, as_of: datetime, verdicts: Sequence[Verdict], decisions: Sequence[Decision], settings: Settings
    ) -> None:
        """Take over what one check decided."""
        for decision in decisions:
            if decision.after is not None:
                self._keep(decision.after)
        if not counts(as_of, self.last_counted_at, settings):
            return
        self.last_counted_at = as_of
        for verdict in verdicts:
            key = (verdict.metric, verdict.company_id)
            if verdict.state.good:
                self.streaks.pop(key, None)
            elif verdict.state.bad:
                self.streaks[key] = self.streaks.get(key, 0) + 1

    def _keep(self, alert: Alert) -> None:
        stored = alert if alert.id else replace(alert, id=1 + len(self.resolved) + len(self.open_alerts))
        if stored.state is AlertState.RESOLVED:
            self.open_alerts.pop(stored.key, None)
            self.resolved.append(stored)
        else:
            self.open_alerts[stored.key] = stored


def replay(
    checks: Iterable[Judged], settings: Settings, happened: Sequence[Alert] = (), ledger: Ledger | None = None
) -> Iterator[tuple[datetime, list[Decision]]]:
    """Judge and escalate checks again, oldest first, starting with no open alert.

    :param happened: the alerts that there were. Who acknowledged them does so again, and their appointments count as
        dealt with when they were resolved: samples do not tell either.
    :param ledger: keeps the alerts; give one to look at it afterwards.
    """
    ledger = ledger or Ledger()
    for as_of, stored in checks:
        verdicts = [judged_again(v, settings) for v in stored if _known(v, settings)]
        standing = ledger.standing
        reactions = [r for alert in standing.open_alerts for r in _reactions(alert, happened, as_of)]
        recheck = {
            alert.key: (_left(alert, happened, as_of), len(alert.subjects)) for alert in standing.open_alerts
        }
        decisions = decide(verdicts, standing, reactions, settings, as_of, recheck)
        ledger.keep(as_of, verdicts, decisions, settings)
        yield as_of, decisions


def judged_again(verdict: Verdict, settings: Settings) -> Verdict:
    """A stored sample against today's bounds; what kept it from paging then still does."""
    judged = judge(verdict.sample, settings)
    return replace(judged, level_cap=min(judged.level_cap, verdict.level_cap))


def message_line(as_of: datetime, decision: Decision, zone: ZoneInfo) -> str:
    """What a decision says, on one line: time, action, rule, severity and level, whom it mentions, what it hides."""
    alert = decision.after
    parts = [
        clock(as_of, zone),
        str(decision.action),
        rule_name(decision.rule, decision.company_id),
    ]
    if alert is not None and decision.action is not Action.RESOLVE:
        parts += [str(alert.severity), f"level {alert.level}"]
    parts += ["worse"] * decision.moved + ["on-call"] * decision.mention + ["proposal"] * decision.toggle
    if decision.companies:
        parts.append(f"for {len(decision.companies)} companies")
    if decision.hides:
        parts.append(f"hiding {', '.join(decision.hides)}")
    return " ".join(parts)


def clock(instant: datetime, zone: ZoneInfo) -> str:
    """A local time with its weekday, such as ``Mon 08:00``."""
    return f"{instant.astimezone(zone):%a %H:%M}"


def rule_name(rule: str, company_id: int) -> str:
    """A rule, and the company unless it is all of them."""
    return f"{rule} company {company_id}" if company_id else rule


def sends(decision: Decision) -> bool:
    """Whether the decision is a message of its own."""
    return decision.action is not Action.NOTHING and not decision.grouped


def _known(verdict: Verdict, settings: Settings) -> bool:
    return verdict.metric in settings.metrics or verdict.metric in settings.log_rules


def _reactions(alert: Alert, happened: Sequence[Alert], as_of: datetime) -> Iterator[Acknowledgement]:
    for was in happened:
        at, user = was.acknowledged_at, was.acknowledged_by
        if was.key == alert.key and alert.id and at and user and alert.opened_at <= at <= as_of:
            yield Acknowledgement(alert.id, user, at)


def _left(alert: Alert, happened: Sequence[Alert], as_of: datetime) -> int:
    still = any(
        was.key == alert.key
        and was.opened_at <= as_of
        and (was.resolved_at is None or was.resolved_at > as_of)
        for was in happened
    )
    return len(alert.subjects) if still else 0
