# SPDX-License-Identifier: MIT
"""A decision as the message that tells of it: the root of a thread, and what is said in the thread afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processing_time.messages.context import LEVELS, Context, elapsed, status
from processing_time.messages.document import Call, Facts, Items, Links, Message, Note, Paragraph, Part
from processing_time.model import ALL_COMPANIES, Action, Alert, AlertState, Decision, Verdict
from processing_time.outbox import ALERT_ID


def root(decision: Decision, context: Context, *, call: bool = False) -> Message:
    """The first message of a thread, as it reads from this decision on.

    :param call: whether the on-call is called, which only a new message can do.
    """
    alert = _alert(decision)
    icon, word = status(alert)
    title = f"{icon} {word} · {context.rule(alert.rule, alert.company_id)}"
    if decision.verdict and _measured(decision.verdict) and alert.state is not AlertState.RESOLVED:
        title += f": {context.value(decision.verdict)}"
    return Message(title, tuple(_body(decision, alert, context, call=call)))


def shared_root(
    decision: Decision, firing: Sequence[Alert], context: Context, *, call: bool = False
) -> Message:
    """The same for a thread that several companies share.

    :param firing: the alerts of the thread that are not resolved.
    """
    alert = _together(_alert(decision), firing)
    icon, word = status(alert)
    companies = tuple(a.company_id for a in firing if a.company_id != ALL_COMPANIES)
    known = [c for c in decision.companies if c in companies]
    companies = (*known, *(c for c in companies if c not in known))
    verdict = context.verdicts.get((alert.rule, ALL_COMPANIES)) if len(companies) < len(firing) else None
    about = replace(decision, after=alert, verdict=verdict or decision.verdict, companies=companies)
    count = f": {len(companies)} {'company' if len(companies) == 1 else 'companies'}" if companies else ""
    title = f"{icon} {word} · {context.rule(alert.rule)}{count}"
    return Message(title, tuple(_body(about, alert, context, call=call)))


def escalated(decision: Decision, context: Context, *, call: bool = False) -> Message:
    """A reply: the severity or the level rose."""
    before, alert = decision.before, _alert(decision)
    what = f"Level {LEVELS[alert.level]}"
    if before and alert.severity is not before.severity:
        what = f"{before.severity.upper()} → {alert.severity.upper()}"
    parts: list[Part] = [Paragraph(_why(decision)), _facts(decision, context)]
    if decision.toggle and context.settings.escalation.incident_dag:
        parts.append(
            Paragraph("An incident run waits for somebody's approval. Without an answer nothing happens.")
        )
    if call:
        parts += _call(context, "this needs somebody now.")
    parts += [
        Paragraph(context.action(alert.rule), label="What to do"),
        *_lists(decision, context),
        _links(alert, context),
    ]
    return Message(f"⬆️ {what} · {context.rule(alert.rule, alert.company_id)}", tuple(parts))


def moved(decision: Decision, context: Context, thread: str, *, call: bool = False) -> Message:
    """A message in the channel of the worse severity; the thread stays where it is.

    :param thread: the address of the thread's root message.
    """
    alert = _alert(decision)
    icon, word = status(alert)
    before = decision.before.severity.upper() if decision.before else ""
    parts: list[Part] = [
        Paragraph(
            f"{_why(decision)} It is followed in its thread in another channel.",
            label=f"Was {before}",
        ),
        _facts(decision, context),
    ]
    if call:
        parts += _call(context, "this needs somebody now.")
    parts.append(Links({"Open the thread": thread, **_links(alert, context).targets}))
    return Message(f"{icon} {word} · {context.rule(alert.rule, alert.company_id)}", tuple(parts))


def reminder(decision: Decision, context: Context, *, call: bool = False) -> Message:
    """A reply: it is unchanged, and some time has passed."""
    alert = _alert(decision)
    length = elapsed(context.as_of - alert.opened_at)
    parts: list[Part] = [
        Paragraph(_sentence(decision.verdict.reason if decision.verdict else decision.reason)),
        _facts(decision, context),
        *(_call(context, "it is still there.") if call else []),
        *_lists(decision, context),
    ]
    return Message(
        f"🔁 Still firing after {length} · {context.rule(alert.rule, alert.company_id)}", tuple(parts)
    )


def acknowledged(decision: Decision, context: Context) -> Message:
    """A reply: somebody has taken it."""
    alert = _alert(decision)
    text = f"👀 {context.who(alert.acknowledged_by)} has taken it."
    if alert.acknowledged_until:
        text += (
            f" Reminders and escalation wait until {context.clock(alert.acknowledged_until)}"
            f" {context.settings.timezone}, unless it gets worse."
        )
    return Message("", (Paragraph(text),))


def resolved(decision: Decision, context: Context, *, shared: bool = False) -> Message:
    """A reply: it is over, and why.

    :param shared: whether the thread is about other companies too.
    """
    alert = _alert(decision)
    what = "Resolved"
    if shared and not decision.companies:
        what = f"{context.rule(alert.rule, alert.company_id)} resolved"
    text = f"✅ {what} after {elapsed(context.as_of - alert.opened_at)}: {decision.reason}."
    if decision.verdict and _measured(decision.verdict):
        text += f" Now at {context.value(decision.verdict)} ({context.window(decision.verdict)})."
    return Message("", (Paragraph(text), *_lists(decision, context)))


def _alert(decision: Decision) -> Alert:
    if decision.after is None:
        raise ValueError(f"the decision about {decision.rule} keeps no alert to tell of")
    return decision.after


def _together(alert: Alert, firing: Sequence[Alert]) -> Alert:
    """What several alerts of a thread come to: the worst severity, the highest level, taken when all of them are."""
    if not firing:
        return alert
    taken = next((a for a in firing if a.state is AlertState.ACKNOWLEDGED), alert)
    return replace(
        taken,
        severity=max((a.severity for a in firing), key=lambda severity: severity.rank),
        level=max(a.level for a in firing),
        state=AlertState.ACKNOWLEDGED
        if all(a.state is AlertState.ACKNOWLEDGED for a in firing)
        else AlertState.FIRING,
        resolved_at=None,
    )


def _body(decision: Decision, alert: Alert, context: Context, *, call: bool) -> list[Part]:
    # What it is about; why something changed is said in the thread.
    changed = decision.action not in (Action.OPEN, Action.RESOLVE)
    reason = decision.verdict.reason if changed and decision.verdict else decision.reason
    parts: list[Part] = [Paragraph(_sentence(reason)), _facts(decision, context, level=True)]
    if alert.state is not AlertState.RESOLVED:
        parts.append(Paragraph(context.action(alert.rule), label="What to do"))
    if call:
        parts += _call(context, "please have a look.")
    parts += [*_lists(decision, context), _links(alert, context), Note(tuple(context.summary.lines))]
    if alert.state is AlertState.FIRING:
        hold = elapsed(context.settings.escalation.ack_hold)
        parts.append(Note((f"React with 👀 to take it: reminders and escalation then wait for {hold}.",)))
    return parts


def _facts(decision: Decision, context: Context, *, level: bool = False) -> Facts:
    alert, verdict = _alert(decision), decision.verdict
    values: dict[str, str] = {}
    if verdict and _measured(verdict):
        values["Value"] = context.value(verdict)
    if verdict and verdict.metric == alert.rule:
        values["Threshold"] = verdict.threshold
        values["Window"] = context.window(verdict)
    values["Opened"] = f"{context.clock(alert.opened_at)} {context.settings.timezone}"
    if alert.acknowledged_by and alert.state is AlertState.ACKNOWLEDGED:
        values["Taken by"] = context.who(alert.acknowledged_by)
    if alert.resolved_at:
        values["Resolved"] = (
            f"{context.clock(alert.resolved_at)}, after {elapsed(alert.resolved_at - alert.opened_at)}"
        )
    if level:
        values["Level"] = LEVELS[alert.level]
        values["Alert"] = ALERT_ID
    return Facts(values)


def _measured(verdict: Verdict) -> bool:
    return verdict.sample.value is not None


def _lists(decision: Decision, context: Context) -> list[Part]:
    """What a shared cause hides, and the single companies that this message speaks for, worst first."""
    parts: list[Part] = []
    if decision.hides:
        lines = tuple(context.rule(rule) for rule in decision.hides)
        parts.append(Items("Not measured because of this", lines, "metrics and rules"))
    if decision.companies:
        lines = tuple(_company(decision.rule, company, context) for company in decision.companies)
        parts.append(Items(f"{len(lines)} companies", lines, "companies"))
    return parts


def _company(rule: str, company: int, context: Context) -> str:
    verdict = context.verdicts.get((rule, company))
    return f"company {company}" + (f": {context.value(verdict)}, {verdict.reason}" if verdict else "")


def _links(alert: Alert, context: Context) -> Links:
    targets = {"Runbook": context.runbook(alert.rule), "Airflow run": context.addresses.run}
    if alert.state is not AlertState.RESOLVED:
        targets["Start incident"] = context.addresses.incident
    return Links({label: address for label, address in targets.items() if address})


def _call(context: Context, text: str) -> list[Part]:
    token = context.settings.slack.on_call
    return [Call(token, text)] if token else []


def _why(decision: Decision) -> str:
    """What changed, and the counts behind it."""
    counts = decision.verdict.reason if decision.verdict else ""
    told = [decision.reason] if counts in ("", decision.reason) else [decision.reason, counts]
    return " ".join(map(_sentence, told))


def _sentence(reason: str) -> str:
    # The name of a setting stays as it has to be written.
    first, _, _ = reason.partition(" ")
    begun = reason if "." in first or "_" in first else reason[:1].upper() + reason[1:]
    return begun + ("" if reason.endswith((".", "!", "?")) else ".")
