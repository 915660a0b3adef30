# SPDX-License-Identifier: MIT
"""What escalation remembers, kept in memory as the store keeps it: for replays, simulations and tests of rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from processing_time.escalation import Standing
from processing_time.life_cycle import Key, counts
from processing_time.model import Alert, AlertState, Decision, Verdict
from processing_time.settings import Settings


@dataclass
class Ledger:
    """Open and resolved alerts, the last counted check, bad checks in a row."""

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
        known = self.open_alerts.get(alert.key)
        number = alert.id or (known.id if known else 1 + len(self.resolved) + len(self.open_alerts))
        stored = replace(alert, id=number)
        if stored.state is AlertState.RESOLVED:
            self.open_alerts.pop(stored.key, None)
            self.resolved.append(stored)
        else:
            self.open_alerts[stored.key] = stored
