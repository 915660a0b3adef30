# SPDX-License-Identifier: MIT
"""Which messages the decisions of a check ask for, where each goes, and what its thread's root says from then on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from processing_time.messages import alerts
from processing_time.messages.blocks import render
from processing_time.messages.context import Context
from processing_time.messages.daily import checklist
from processing_time.messages.diagnostics import diagnostics
from processing_time.messages.document import Message
from processing_time.model import Action, Alert, AlertState, Decision
from processing_time.outbox import ALERT_ID, THREAD_ADDRESS, AlertKey, Notification, Place

Thread = tuple[str, int, datetime]
SNAPSHOTS = 2
"""More threads than this do not get the same diagnostics at one check."""


def notifications(
    decisions: Sequence[Decision], open_alerts: Sequence[Alert], context: Context
) -> list[Notification]:
    """The messages of a check, in the order of the decisions; the daily checklist last.

    :param open_alerts: those that were open before these decisions.
    """
    plan = _Plan(decisions, open_alerts, context)
    owed = [
        n for decision in decisions if decision.action is not Action.NOTHING for n in plan.about(decision)
    ]
    if context.summary.checklist:
        day = context.as_of.astimezone(context.settings.zone)
        owed.append(
            Notification(
                "checklist",
                f"checklist/{day:%Y-%m-%d}",
                "reports",
                render(checklist(context), context.settings),
            )
        )
    return owed


class _Plan:
    def __init__(self, decisions: Sequence[Decision], open_alerts: Sequence[Alert], context: Context) -> None:
        self._context = context
        now: dict[AlertKey, Alert] = {a.key: a for a in open_alerts}
        now.update((d.after.key, d.after) for d in decisions if d.after)
        self._threads: dict[Thread, list[Alert]] = defaultdict(list)
        for alert in now.values():
            self._threads[_thread(alert)].append(alert)
        self._speakers = {(d.rule, d.action): _thread(d.after) for d in decisions if d.after and d.companies}
        self._diagnosing = [d for d in decisions if d.diagnose]
        self._quiet: set[Thread] = set()

    def about(self, decision: Decision) -> Iterator[Notification]:
        """The messages that one decision asks for."""
        alert, context, call = decision.after, self._context, decision.mention
        if alert is None:
            return
        if decision.grouped:
            yield from self._quietly(decision, alert)
            return
        shared = len(self._threads[_thread(alert)]) > 1 or alert.thread_company is not None
        match decision.action:
            case Action.OPEN:
                yield self._note("opened", Place.ROOT, self._root(decision, alert, call=call), alert)
            case Action.ESCALATE:
                elsewhere = decision.moved and self._channel_changes(decision, alert)
                message = alerts.escalated(decision, context, call=call and not elsewhere)
                yield self._reply("escalated", Place.BROADCAST, message, decision, alert)
                if elsewhere:
                    message = alerts.moved(decision, context, THREAD_ADDRESS, call=call)
                    yield self._note("moved", Place.CHANNEL, message, alert)
            case Action.REMIND:
                message = alerts.reminder(decision, context, call=call)
                yield self._reply("reminder", Place.THREAD, message, decision, alert)
            case Action.ACKNOWLEDGE:
                message = alerts.acknowledged(decision, context)
                yield self._reply("acknowledged", Place.THREAD, message, decision, alert)
            case Action.RESOLVE:
                message = alerts.resolved(decision, context, shared=shared)
                yield self._reply("resolved", Place.THREAD, message, decision, alert)
        if decision.diagnose and self._diagnosed(decision):
            yield self._note("diagnostics", Place.THREAD, diagnostics(context), alert)

    def _diagnosed(self, decision: Decision) -> bool:
        """A snapshot is of the whole check: where many threads want it, the first one has it for all."""
        return len(self._diagnosing) <= SNAPSHOTS or decision is self._diagnosing[0]

    def _quietly(self, decision: Decision, alert: Alert) -> Iterator[Notification]:
        """Another message speaks for this one. A thread of its own hears nothing, but its root still changes, once."""
        thread = _thread(alert)
        spoken_in = self._speakers.get((decision.rule, decision.action))
        if decision.action is not Action.OPEN and thread != spoken_in and thread not in self._quiet:
            self._quiet.add(thread)
            yield self._note("quietly", Place.ROOT_ONLY, self._root(decision, alert), alert)

    def _root(self, decision: Decision, alert: Alert, *, call: bool = False) -> Message:
        everyone = self._threads[_thread(alert)]
        if len(everyone) == 1 and alert.thread_company is None:
            return alerts.root(decision, self._context, call=call)
        firing = [a for a in everyone if a.state is not AlertState.RESOLVED]
        return alerts.shared_root(decision, firing, self._context, call=call)

    def _reply(
        self, kind: str, place: Place, message: Message, decision: Decision, alert: Alert
    ) -> Notification:
        return self._note(kind, place, message, alert, root=self._root(decision, alert))

    def _note(
        self, kind: str, place: Place, message: Message, alert: Alert, *, root: Message | None = None
    ) -> Notification:
        return Notification(
            kind=kind,
            dedupe_key=_key(kind, alert, self._context.as_of),
            route=str(alert.severity),
            payload=render(message, self._context.settings),
            place=place,
            alert=alert.key,
            root=render(root, self._context.settings) if root else None,
        )

    def _channel_changes(self, decision: Decision, alert: Alert) -> bool:
        slack = self._context.settings.slack
        here = alert.slack_channel or (slack.channel(decision.before.severity) if decision.before else None)
        return slack.channel(alert.severity) != here


def _key(kind: str, alert: Alert, as_of: datetime) -> str:
    """Names a message by its alert, its check and what it says, so that a repeated check does not say it again."""
    # By its number: an alert that closes may open again at the same check, when that is cleared.
    incident = f"{alert.rule}/{alert.company_id}/{ALERT_ID}"
    what = {
        "escalated": f"/{alert.severity}-{alert.level}",
        "moved": f"/{alert.severity}",
        "acknowledged": f"/{alert.acknowledged_by}",
        "quietly": f"/{alert.severity}-{alert.level}-{alert.state}",
    }.get(kind, "")
    return f"{incident}/{kind}/{as_of:%Y%m%dT%H%M%SZ}{what}"


def _thread(alert: Alert) -> Thread:
    """Alerts with the same value share a thread."""
    owner = alert.company_id if alert.thread_company is None else alert.thread_company
    return (alert.rule, owner, alert.opened_at)
