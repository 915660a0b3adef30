# SPDX-License-Identifier: MIT
"""The alerts of one check: what stands, who has acknowledged, what is decided, what Slack is told. In that order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from processing_time import acknowledgements
from processing_time.acknowledgements import Reactions
from processing_time.delivery import DeliveryError, deliver
from processing_time.escalation import Recheck, Standing, decide
from processing_time.messages.context import Addresses, Context
from processing_time.messages.plan import notifications
from processing_time.model import Action, Alert, Decision, Verdict
from processing_time.settings import Settings
from processing_time.slack_calls import Slack
from processing_time.store import Ruling, Store
from processing_time.summary import Summary

if TYPE_CHECKING:
    from slack_sdk import WebClient

log = logging.getLogger(__name__)

Rechecker = Callable[[Sequence[Alert]], Recheck]


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found, ready to be decided upon.

    :param verdicts: of all companies, and of the single ones that may alert.
    :param addresses: where the buttons of the messages lead.
    """

    as_of: datetime
    verdicts: Sequence[Verdict]
    summary: Summary
    addresses: Addresses = field(default_factory=Addresses)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. ``open_alerts`` are those that are open afterwards."""

    decisions: Sequence[Decision]
    open_alerts: Sequence[Alert]
    as_of: datetime

    def to_json(self) -> dict[str, Any]:
        """For the tasks that follow: the alerts that ask for the feature toggle, newest first, and all open ones.

        An alert asks as long as it is open: who starts the run names it after the alert, so it starts once.
        """
        asking = sorted(
            (a for a in self.open_alerts if a.toggle_requested_at),
            key=lambda a: a.toggle_requested_at or self.as_of,
            reverse=True,
        )
        return {
            "toggles": [{"alert_id": a.id, "rule": a.rule, "company_id": a.company_id} for a in asking],
            "open": [
                {"rule": a.rule, "severity": str(a.severity), "seen": a.last_seen_at == self.as_of}
                for a in self.open_alerts
            ],
        }


def escalate(
    store: Store,
    slack: Callable[[], WebClient],
    settings: Settings,
    check: Check,
    *,
    recheck: Rechecker = lambda _: {},
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Decide about a check, commit it with its messages, and deliver what Slack is owed.

    An ``as_of`` older than the newest finished check decides nothing and says nothing.

    :param slack: gives the client, without retry handlers; it may raise :class:`DeliveryError`.
    :param recheck: asks about the recorded appointments of open alerts again.
    :param clock: the present time; UTC.
    :raises DeliveryError: when messages stay owed. The decisions are committed then.
    :raises StoreError: when the store cannot be used.
    """
    if store.overtaken(check.as_of):
        log.info("A newer check has finished: this one keeps its samples, decides nothing and tells nobody.")
        store.decide(check.as_of, lambda _: ([], []), settings, clock())
        return Outcome([], [], check.as_of)
    client: Slack | None = None
    unusable: DeliveryError | None = None
    try:
        client = Slack(slack(), sleep)
    except DeliveryError as error:
        unusable = error
    standing = store.standing(check.as_of, settings)
    reactions = (
        acknowledgements.read(client, standing.open_alerts, settings, clock()) if client else Reactions()
    )
    ruling = _ruling(settings, check, reactions, recheck(standing.open_alerts))
    decisions = store.decide(check.as_of, ruling, settings, clock())
    for decision in decisions:
        log.info("%s", describe(decision))
    if client is not None:
        deliver(store.outbox, client, settings, clock=clock, sleep=sleep)
    elif unusable is not None and store.outbox.due(clock()):
        raise unusable
    return Outcome(decisions, store.standing(check.as_of, settings).open_alerts, check.as_of)


def preview(store: Store, settings: Settings, check: Check, *, recheck: Rechecker = lambda _: {}) -> Ruling:
    """The decisions and messages that :func:`escalate` would come to. Slack is not asked; nothing is written or sent."""
    if store.overtaken(check.as_of):
        log.info(
            "A newer check has finished: this one would keep its samples, decide nothing and tell nobody."
        )
        return [], []
    standing = store.standing(check.as_of, settings)
    return _ruling(settings, check, Reactions(), recheck(standing.open_alerts))(standing)


def describe(decision: Decision) -> str:
    """A decision as a line of the task log."""
    company = f" (company {decision.company_id})" if decision.company_id else ""
    level = (
        f", level {decision.after.level}" if decision.after and decision.action is not Action.NOTHING else ""
    )
    return f"{decision.action}: {decision.rule}{company}{level}: {decision.reason}"


def _ruling(
    settings: Settings, check: Check, reactions: Reactions, recheck: Recheck
) -> Callable[[Standing], Ruling]:
    context = Context(
        settings,
        check.as_of,
        check.summary,
        {(v.metric, v.company_id): v for v in check.verdicts},
        check.addresses,
        reactions.names,
    )

    def ruling(standing: Standing) -> Ruling:
        decisions = decide(
            check.verdicts, standing, reactions.acknowledgements, settings, check.as_of, recheck
        )
        return decisions, notifications(decisions, standing.open_alerts, context)

    return ruling
