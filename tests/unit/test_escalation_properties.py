# SPDX-License-Identifier: MIT
"""What must hold of the escalation whatever happens: random days are driven through it, an account is kept beside it.

The account below is written from the contract, not from the code: it tells for each decision whether it was allowed,
and after each check whether anything was left unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from processing_time.escalation import decide
from processing_time.ledger import Ledger
from processing_time.life_cycle import Key
from processing_time.model import (
    Acknowledgement,
    Action,
    Alert,
    AlertState,
    Decision,
    Loss,
    Sample,
    Severity,
    State,
    Verdict,
    Window,
)
from processing_time.rule_tests import overlaid
from processing_time.settings import Mute, Settings, load

RATE, ORPHANS, FAILURES, SPIKE = (
    "phase_creation_success_rate",
    "orphaned_appointments",
    "phase_creation_failures",
    "cache_miss_spike",
)
SOURCE = {RATE: "mysql", ORPHANS: "mysql", FAILURES: "log", SPIKE: "log"}
EFFECTS = {ORPHANS, FAILURES}
SHIPPED, OFF = load(), {"enabled": False}
SETTINGS = overlaid(
    {
        "metrics": {
            **dict.fromkeys(SHIPPED.metrics.keys() - SOURCE.keys(), OFF),
            RATE: {"alert_per_company": True},
        },
        "log_rules": dict.fromkeys(SHIPPED.log_rules.keys() - SOURCE.keys(), OFF),
    }
)
KEYS: list[Key] = [(RATE, 0), (RATE, 1), (RATE, 2), (ORPHANS, 0), (FAILURES, 0), (SPIKE, 0)]
MONDAY = datetime(2026, 3, 2, 7, tzinfo=UTC)
GAP, HOLD, REMIND = timedelta(minutes=30), timedelta(hours=4), timedelta(hours=4)

GOOD = st.sampled_from([("ok", None), ("degraded", None)])
NONE = st.just(("insufficient_data", None))
LOST = st.sampled_from([("unknown", Loss.LOST), ("unknown", Loss.SOURCE), ("unknown", Loss.NEVER)])
BAD = {
    RATE: st.sampled_from([("alert", Severity.HIGH), ("critical", Severity.CRITICAL)]),
    ORPHANS: st.sampled_from([("alert", Severity.INFO), ("alert", Severity.HIGH)]),
    FAILURES: st.just(("alert", Severity.HIGH)),
    SPIKE: st.just(("alert", Severity.MEDIUM)),
}


@dataclass(frozen=True)
class Step:
    """One check: minutes since the one before, what it measured, who reacted, what was muted."""

    minutes: int
    verdicts: dict[Key, Verdict | None]
    reactions: frozenset[tuple[Key, str]]
    readable: bool
    muted: frozenset[str]


@st.composite
def verdicts(draw: st.DrawFn, key: Key) -> Verdict | None:
    rule, company = key
    lost = st.nothing() if company else LOST
    state, extra = draw(st.one_of(GOOD, BAD[rule], BAD[rule], NONE, lost))
    if company and draw(st.integers(0, 5)) == 0:
        return None
    sample = Sample(rule, Window(MONDAY, MONDAY), company, 1.0, 1.0, 1.0)
    if rule == ORPHANS:
        sample = replace(sample, detail={"ids": [1, 2]})
    if isinstance(extra, Loss):
        return Verdict(sample.lost(extra, "lost"), State.UNKNOWN, level_cap=1 if extra is Loss.NEVER else 3)
    certain = rule != RATE or draw(st.booleans())
    cap = draw(st.sampled_from([3, 3, 3, 1]))
    return Verdict(sample, State(state), extra, certain=certain, level_cap=cap)


OPENABLE = [*KEYS, (f"{RATE}.unknown", 0), ("source.mysql.unknown", 0)]
STEPS = st.lists(
    st.builds(
        Step,
        minutes=st.sampled_from([0, 5, 25, 35, 60, 60, 60, 60, 240, 720]),
        verdicts=st.fixed_dictionaries({key: verdicts(key) for key in KEYS}),
        reactions=st.frozensets(st.tuples(st.sampled_from(OPENABLE), st.sampled_from("AB")), max_size=1),
        readable=st.sampled_from([True, True, True, False]),
        muted=st.frozensets(st.sampled_from([RATE, SPIKE, f"{RATE}.unknown"]), max_size=1),
    ),
    max_size=14,
)


@dataclass
class Account:
    """What was said about each open alert, kept from the decisions alone."""

    told_at: dict[Key, datetime] = field(default_factory=dict)
    held_until: dict[Key, datetime] = field(default_factory=dict)
    good_in_row: dict[Key, int] = field(default_factory=dict)
    opened: int = 0
    resolved: list[int] = field(default_factory=list)
    proposed: set[int] = field(default_factory=set)
    reacted: dict[int, set[str]] = field(default_factory=dict)
    seen: dict[int, set[str]] = field(default_factory=dict)
    last_counted: datetime | None = None


@given(STEPS)
@examples(max_examples=150)
def test_whatever_happens(steps: list[Step]) -> None:
    ledger, account, as_of = Ledger(), Account(), MONDAY
    calm = Step(60, {key: _calm(key) for key in KEYS}, frozenset(), True, frozenset())
    for step in [*steps, calm, calm]:
        as_of += timedelta(minutes=step.minutes)
        check(step, as_of, ledger, account)
    assert not ledger.open_alerts, "everything is clear and something is still open"
    assert len(account.resolved) == len(set(account.resolved)) == account.opened, "resolved exactly once"


def check(step: Step, as_of: datetime, ledger: Ledger, account: Account) -> None:
    settings = _muting(step.muted, as_of)
    verdicts = [verdict for verdict in step.verdicts.values() if verdict]
    for key, user in step.reactions:
        if alert := ledger.open_alerts.get(key):
            account.reacted.setdefault(alert.id or 0, set()).add(user)
    reactions = [Acknowledgement(i, u, as_of) for i, users in account.reacted.items() for u in sorted(users)]
    read = reactions if step.readable else None
    recheck = {(ORPHANS, 0): (0, 2)}
    counted = account.last_counted is None or as_of - account.last_counted >= GAP
    before = dict(ledger.open_alerts)

    decisions = decide(verdicts, ledger.standing, read, settings, as_of, recheck)
    ledger.keep(as_of, verdicts, decisions, settings)

    good, bad = _evidence(step, verdicts)
    for key in before:
        if key in bad:
            account.good_in_row[key] = 0
        elif key in good and counted:
            account.good_in_row[key] = account.good_in_row.get(key, 0) + 1
    for decision in decisions:
        allowed(decision, step, as_of, counted, bad, account)
    nothing_unsaid(step, as_of, counted, verdicts, ledger, account, before)
    if read is not None:
        everybody_heard(before, decisions, account)
    assert sum(d.toggle for d in decisions) <= 1
    account.last_counted = as_of if counted else account.last_counted

    again = decide(verdicts, ledger.standing, read, settings, as_of, recheck)
    assert {d.action for d in again} <= {Action.NOTHING}, "the same check says nothing again"
    kept = dict(ledger.open_alerts)
    ledger.keep(as_of, verdicts, again, settings)
    assert ledger.open_alerts == kept, "and changes nothing"


def allowed(
    decision: Decision, step: Step, as_of: datetime, counted: bool, bad: set[Key], account: Account
) -> None:
    """No message without a change or a due reminder, no level without its conditions."""
    key, before, after = (decision.rule, decision.company_id), decision.before, decision.after
    if before and after:
        assert after.level >= before.level
        assert after.severity.rank >= before.severity.rank
    if decision.mention:
        assert after
        assert after.level >= 2
        assert after.severity.rank >= Severity.HIGH.rank
        assert decision.verdict
        assert decision.verdict.level_cap >= 2
        assert decision.verdict.certain
    if decision.toggle:
        assert after
        assert after.severity is Severity.CRITICAL
        assert counted
        assert after.id not in account.proposed
        account.proposed.add(after.id or 0)
    if decision.action in (Action.OPEN, Action.ESCALATE, Action.REMIND):
        assert key in bad
        assert not _is_muted(key[0], step)
        assert not _silenced(key, step)
        assert decision.moved or as_of >= account.held_until.get(key, as_of)
        CHANGES[decision.action](decision, as_of, counted, account)
        account.told_at[key] = as_of
    elif decision.action is Action.ACKNOWLEDGE:
        assert after
        assert step.readable
        assert after.state is AlertState.ACKNOWLEDGED
        assert after.acknowledged_by in account.reacted[after.id or 0] - account.seen.get(
            after.id or 0, set()
        )
        account.held_until[key] = as_of + HOLD
    elif decision.action is Action.RESOLVE:
        assert before
        assert _is_muted(key[0], step) or (account.good_in_row[key] >= 2 and key not in bad)
        account.resolved.append(before.id or 0)
        account.held_until.pop(key, None)


def _opens(decision: Decision, as_of: datetime, counted: bool, account: Account) -> None:
    assert decision.before is None
    assert decision.after
    account.opened += 1
    account.good_in_row[decision.after.key] = 0


def _escalates(decision: Decision, as_of: datetime, counted: bool, account: Account) -> None:
    before, after = decision.before, decision.after
    assert before
    assert after
    assert decision.moved == (after.severity.rank > before.severity.rank)
    assert decision.moved or after.level > before.level
    if decision.moved:
        account.held_until.pop(after.key, None)
    elif after.severity is Severity.HIGH:
        assert counted, "HIGH rises by waiting, and only counted checks wait"


def _reminds(decision: Decision, as_of: datetime, counted: bool, account: Account) -> None:
    assert counted
    assert as_of - account.told_at[decision.rule, decision.company_id] >= REMIND


CHANGES = {Action.OPEN: _opens, Action.ESCALATE: _escalates, Action.REMIND: _reminds}


def nothing_unsaid(
    step: Step,
    as_of: datetime,
    counted: bool,
    verdicts: list[Verdict],
    ledger: Ledger,
    account: Account,
    before: dict[Key, Alert],
) -> None:
    """Whatever fires and may speak is open, pages when it must, and was told of within the reminder's time."""
    for verdict in verdicts:
        rule, company = verdict.metric, verdict.company_id
        lost = verdict.state is State.UNKNOWN
        key = (f"{rule}.unknown", company) if lost else (rule, company)
        if not (lost or verdict.state.bad) or _is_muted(key[0], step):
            continue
        if lost and _dead(SOURCE[rule], verdicts):
            key = (f"source.{SOURCE[rule]}.unknown", 0)
        elif _silenced(key, step):
            continue
        assert key in ledger.open_alerts, f"{key} fires and nobody was told"
        alert = ledger.open_alerts[key]
        held = as_of < account.held_until.get(key, as_of)
        if counted and not held and verdict.sample.loss is not Loss.NEVER and key in before:
            far = as_of - before[key].last_counted_at >= GAP
            assert not far or as_of - account.told_at[key] < REMIND, "a due reminder was not sent"
        page = verdict.state is State.CRITICAL and verdict.certain and verdict.level_cap >= 2
        assert not page or held or alert.level >= 2, "critical and certain, and nobody was paged"


def everybody_heard(before: dict[Key, Alert], decisions: Iterable[Decision], account: Account) -> None:
    """A reaction that was not there before acknowledges; one that was does not."""
    heard = {d.before.id for d in decisions if d.action is Action.ACKNOWLEDGE and d.before}
    for alert in before.values():
        here = account.reacted.get(alert.id or 0, set())
        assert (alert.id in heard) == bool(here - account.seen.get(alert.id or 0, set()))
        account.seen[alert.id or 0] = set(here)


def _evidence(step: Step, verdicts: list[Verdict]) -> tuple[set[Key], set[Key]]:
    good: set[Key] = set()
    bad: set[Key] = set()
    for verdict in verdicts:
        key, lost = (verdict.metric, verdict.company_id), (f"{verdict.metric}.unknown", verdict.company_id)
        if verdict.state.bad:
            bad.add(key)
            good.add(lost)
        elif verdict.state.good:
            good |= {key, lost}
        elif verdict.state is State.UNKNOWN:
            bad.add(lost)
    for source in ("mysql", "log"):
        (bad if _dead(source, verdicts) else good).add((f"source.{source}.unknown", 0))
    return good, bad


def _dead(source: str, verdicts: list[Verdict]) -> bool:
    own = [v for v in verdicts if SOURCE[v.metric] == source and v.company_id == 0]
    lost = [v for v in own if v.sample.loss is Loss.SOURCE]
    # What fires anyway was counted on the hosts that could be read.
    return bool(lost) and all(v in lost or v.state.bad for v in own)


def _silenced(key: Key, step: Step) -> bool:
    """A critical rate speaks for its effects; a dead source for its metrics."""
    rate = step.verdicts[RATE, 0]
    told = [v for v in step.verdicts.values() if v]
    rule = key[0].removesuffix(".unknown")
    if key[0].endswith(".unknown"):
        return rule in SOURCE and _dead(SOURCE[rule], told)
    return rule in EFFECTS and bool(rate) and rate.state is State.CRITICAL and RATE not in step.muted


def _is_muted(rule: str, step: Step) -> bool:
    return rule in step.muted or rule.removesuffix(".unknown") in step.muted


def _muting(rules: frozenset[str], as_of: datetime) -> Settings:
    until = as_of + timedelta(minutes=1)
    mutes = tuple(Mute(rule=rule, until=until, reason="a test") for rule in sorted(rules))
    return SETTINGS.model_copy(update={"mutes": mutes})


def _calm(key: Key) -> Verdict:
    return Verdict(Sample(key[0], Window(MONDAY, MONDAY), key[1], 0.0), State.OK)
