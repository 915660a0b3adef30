# SPDX-License-Identifier: MIT
"""What decisions carry besides action and level: reasons, subjects, who acknowledged, what closes, who speaks for whom.

When alerts open, rise, repeat and resolve is told by the rule tests in ``tests/rules``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processing_time.escalation import decide
from processing_time.evaluation import judge
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
    Verdict,
    Window,
)
from processing_time.rule_tests import overlaid, sends
from processing_time.settings import Settings

START = datetime(2026, 3, 2, 7, tzinfo=UTC)
RATE, SYNC, ORPHANS, SPIKE, TIME = (
    "phase_creation_success_rate",
    "calcom_sync_success_rate",
    "orphaned_appointments",
    "cache_miss_spike",
    "phase_creation_time",
)


@dataclass
class Day:
    """Checks an hour apart, and what they decided last."""

    settings: Settings = field(default_factory=lambda: overlaid({}))
    ledger: Ledger = field(default_factory=Ledger)
    as_of: datetime = START

    def check(
        self,
        *samples: Sample,
        reactions: Sequence[str] | None = (),
        left: Mapping[Key, tuple[int, int]] | None = None,
        minutes: int = 60,
    ) -> dict[Key, Decision]:
        """Decide about samples; every user in ``reactions`` has reacted to every open alert."""
        verdicts = [judge(sample, self.settings) for sample in samples]
        return self.decide(verdicts, reactions=reactions, left=left, minutes=minutes)

    def decide(
        self,
        verdicts: Sequence[Verdict],
        reactions: Sequence[str] | None = (),
        left: Mapping[Key, tuple[int, int]] | None = None,
        minutes: int = 60,
    ) -> dict[Key, Decision]:
        self.as_of += timedelta(minutes=minutes)
        here = None
        if reactions is not None:
            here = [
                Acknowledgement(a.id or 0, user, self.as_of)
                for a in self.ledger.open_alerts.values()
                for user in reactions
            ]
        self.all = decide(verdicts, self.ledger.standing, here, self.settings, self.as_of, left or {})
        self.ledger.keep(self.as_of, verdicts, self.all, self.settings)
        return {(d.rule, d.company_id): d for d in self.all}


@pytest.fixture
def day() -> Day:
    return Day()


def rate(metric: str, good: float, total: float, company: int = 0) -> Sample:
    return Sample(metric, Window(START, START), company, 100 * good / total, good, total)


def count(metric: str, value: float, population: float | None = None, **detail: Any) -> Sample:
    return Sample(metric, Window(START, START), 0, value, value, population, detail)


def lost(metric: str, loss: Loss, reason: str) -> Sample:
    return Sample(metric, Window(START, START)).lost(loss, reason)


def alert(decision: Decision) -> Alert:
    assert decision.after is not None
    return decision.after


# --- reasons ------------------------------------------------------------------------------------------------


def test_every_rule_gets_a_decision_with_a_reason(day: Day) -> None:
    decisions = day.check(rate(RATE, 100, 100), count(SPIKE, 500), rate(SYNC, 1, 5))
    assert {k: (str(d.action), d.reason) for k, d in decisions.items()} == {
        (RATE, 0): ("nothing", "0 of 100 appointments without phases"),
        (SPIKE, 0): ("open", "500 in 5 min at most"),
        (SYNC, 0): ("nothing", "5 appointments, fewer than 10"),
    }


def test_the_reason_of_a_rise_is_its_condition(day: Day) -> None:
    day.check(rate(RATE, 94, 100))
    assert day.check(rate(RATE, 94, 100))[RATE, 0].reason == "still firing and not acknowledged"
    assert day.check(rate(RATE, 80, 100))[RATE, 0].reason == "severity rose from high to critical"
    assert day.check(rate(RATE, 80, 100))[RATE, 0].reason == "firing, nothing new"
    proposal = day.check(rate(RATE, 80, 100))[RATE, 0]
    assert proposal.reason == "still critical 2 checks later: disabling the feature is proposed"


def test_a_small_sample_says_why_nobody_is_paged(day: Day) -> None:
    decision = day.check(rate(RATE, 13, 15))[RATE, 0]
    assert decision.reason == "2 of 15 appointments without phases; too small a sample to page anybody"
    assert (alert(decision).severity, alert(decision).level, decision.mention) == (
        Severity.CRITICAL,
        1,
        False,
    )


@pytest.mark.parametrize(
    ("good", "reason"),
    [
        (rate(RATE, 97, 100), "clear for 2 checks, still below target"),
        (rate(RATE, 100, 100), "clear for 2 checks"),
    ],
)
def test_resolving_says_when_the_target_is_still_missed(day: Day, good: Sample, reason: str) -> None:
    day.check(rate(RATE, 94, 100))
    assert day.check(good)[RATE, 0].reason == "clear for 1 of 2 checks"
    resolved = day.check(good)[RATE, 0]
    assert (resolved.action, resolved.reason) == (Action.RESOLVE, reason)
    assert (alert(resolved).state, alert(resolved).resolved_at) == (AlertState.RESOLVED, day.as_of)


def test_a_mean_misses_its_target_from_above(day: Day) -> None:
    day.check(count(TIME, 300, 50))
    day.check(count(TIME, 60, 50))
    assert day.check(count(TIME, 60, 50))[TIME, 0].reason == "clear for 2 checks, still above target"


def test_what_cannot_tell_changes_nothing_and_says_so(day: Day) -> None:
    opened = alert(day.check(rate(RATE, 94, 100))[RATE, 0])
    decision = day.check(rate(RATE, 5, 5))[RATE, 0]
    assert decision.reason == "cannot tell: 5 appointments, fewer than 11"
    assert alert(decision) == replace(opened, id=1)


# --- pages --------------------------------------------------------------------------------------------------


def test_level_two_asks_for_a_mention_and_a_diagnosis_and_level_three_for_a_proposal(day: Day) -> None:
    opened = day.check(rate(RATE, 50, 100))[RATE, 0]
    assert (opened.mention, opened.diagnose, opened.toggle) == (True, True, False)
    day.check(rate(RATE, 50, 100))
    proposed = day.check(rate(RATE, 50, 100))[RATE, 0]
    assert (proposed.mention, proposed.diagnose, proposed.toggle) == (True, False, True)
    assert alert(proposed).toggle_requested_at == day.as_of
    assert not any(d.toggle for _ in range(6) for d in day.check(rate(RATE, 50, 100)).values())


def test_the_alert_that_was_there_first_proposes_for_the_others(day: Day) -> None:
    # The incident run bears its number, and asks for approval in its thread.
    day.check(rate(RATE, 100, 100), rate(SYNC, 94, 100))
    for _ in range(3):
        decisions = day.check(rate(RATE, 50, 100), rate(SYNC, 50, 100))
    assert [alert(decisions[rule, 0]).id for rule in (SYNC, RATE)] == [1, 2]
    assert [decisions[rule, 0].toggle for rule in (SYNC, RATE)] == [True, False]
    assert decisions[RATE, 0].reason.endswith("with calcom_sync_success_rate")


def test_a_window_in_which_the_flags_changed_stays_at_level_one(day: Day) -> None:
    doubtful = replace(judge(rate(RATE, 50, 100), day.settings), level_cap=1)
    levels = [alert(day.decide([doubtful])[RATE, 0]).level for _ in range(4)]
    assert levels == [1, 1, 1, 1]
    assert alert(day.check(rate(RATE, 50, 100))[RATE, 0]).level == 2


def test_what_is_harmless_now_is_repeated_without_a_mention_although_it_once_paged(day: Day) -> None:
    for _ in range(2):
        paged = day.check(count(ORPHANS, 9, 10))[ORPHANS, 0]
    assert paged.mention
    reminded = day.check(count(ORPHANS, 1, 10), minutes=300)[ORPHANS, 0]
    assert (reminded.action, alert(reminded).level, reminded.mention) == (Action.REMIND, 2, False)


# --- acknowledging ------------------------------------------------------------------------------------------


def test_an_acknowledgement_keeps_who_and_when_and_how_long(day: Day) -> None:
    day.check(count(SPIKE, 500))
    decision = day.check(count(SPIKE, 500), reactions=["U1"])[SPIKE, 0]
    after = alert(decision)
    assert (decision.action, decision.reason) == (Action.ACKNOWLEDGE, "acknowledged by U1")
    assert (after.state, after.acknowledged_by, after.acknowledged_at) == (
        AlertState.ACKNOWLEDGED,
        "U1",
        day.as_of,
    )
    assert after.acknowledged_until == day.as_of + timedelta(hours=4)
    assert after.bad_checks == 2, "the check counts as well"


def test_a_reaction_read_a_moment_after_the_check_does_not_hold_past_the_fourth_check(day: Day) -> None:
    day.check(count(SPIKE, 500))
    verdict = judge(count(SPIKE, 500), day.settings)
    day.as_of += timedelta(hours=1)
    read = [Acknowledgement(1, "U1", day.as_of + timedelta(seconds=9))]
    decisions = decide([verdict], day.ledger.standing, read, day.settings, day.as_of, {})
    assert alert(decisions[0]).acknowledged_until == day.as_of + timedelta(hours=4)
    assert alert(decisions[0]).acknowledged_at == day.as_of + timedelta(seconds=9)


def test_acknowledged_and_worse_in_one_check_is_two_decisions_in_order(day: Day) -> None:
    day.check(rate(RATE, 94, 100))
    day.check(rate(RATE, 50, 100), reactions=["U1"])
    first, second = day.all
    assert [first.action, second.action] == [Action.ACKNOWLEDGE, Action.ESCALATE]
    assert second.before == first.after
    assert (alert(second).state, alert(second).acknowledged_by) == (AlertState.FIRING, "U1")


def test_an_ended_hold_makes_it_firing_again_even_without_a_message(day: Day) -> None:
    day.check(count(SPIKE, 500))
    day.check(count(SPIKE, 500), reactions=["U1"])
    states = [
        alert(day.check(count(SPIKE, 0 if n % 2 else 500), reactions=["U1"])[SPIKE, 0]).state
        for n in range(4)
    ]
    assert states == [AlertState.ACKNOWLEDGED] * 3 + [AlertState.FIRING]


def test_unreadable_reactions_are_neither_new_nor_gone(day: Day) -> None:
    day.check(count(SPIKE, 500))
    day.check(count(SPIKE, 500), reactions=["U1"])
    day.check(count(SPIKE, 500), reactions=None, minutes=300)
    assert day.check(count(SPIKE, 500), reactions=["U1"])[SPIKE, 0].action is Action.NOTHING


def test_a_reaction_that_was_taken_back_and_given_again_acknowledges_again(day: Day) -> None:
    day.check(count(SPIKE, 500))
    day.check(count(SPIKE, 500), reactions=["U1"])
    day.check(count(SPIKE, 500), reactions=[], minutes=300)
    assert day.check(count(SPIKE, 500), reactions=["U1"])[SPIKE, 0].action is Action.ACKNOWLEDGE


# --- closing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"log_rules": {SPIKE: {"enabled": False}}}, "disabled in the settings"),
        (
            {"mutes": [{"rule": SPIKE, "until": "2026-03-03T08:00:00+01:00", "reason": "load test"}]},
            "muted until 2026-03-03 08:00 CET: load test",
        ),
    ],
)
def test_disabling_or_muting_closes_an_open_alert_once_with_the_reason(
    day: Day, over: dict[str, Any], reason: str
) -> None:
    day.check(count(SPIKE, 500))
    day.settings = overlaid(over)
    verdicts = [] if "log_rules" in over else [judge(count(SPIKE, 500), day.settings)]
    closed = day.decide(verdicts)[SPIKE, 0]
    assert (closed.action, closed.reason) == (Action.RESOLVE, reason)
    assert all(d.action is Action.NOTHING for d in day.decide(verdicts).values())


def test_a_verdict_that_says_it_is_muted_closes_too(day: Day) -> None:
    day.check(count(SPIKE, 500))
    muted = replace(judge(count(SPIKE, 500), day.settings), muted="muted until tomorrow: load test")
    assert day.decide([muted])[SPIKE, 0].reason == "muted until tomorrow: load test"


def test_an_alert_of_a_rule_that_is_gone_closes(day: Day) -> None:
    day.check(count(SPIKE, 500))
    old = day.ledger.open_alerts.pop((SPIKE, 0))
    day.ledger.open_alerts["gone", 0] = replace(old, rule="gone")
    assert day.check()["gone", 0].reason == "disabled in the settings"


def test_company_alerts_close_when_they_are_not_wanted_any_more(day: Day) -> None:
    day.settings = overlaid({"metrics": {RATE: {"alert_per_company": True}}})
    day.check(rate(RATE, 50, 100, company=7))
    day.settings = overlaid({})
    assert day.check(rate(RATE, 50, 100, company=7))[RATE, 7].reason == "disabled in the settings"


def test_an_alert_without_a_row_in_this_check_stays(day: Day) -> None:
    day.check(count(SPIKE, 500))
    decision = day.check()[SPIKE, 0]
    assert (decision.action, decision.reason) == (Action.NOTHING, "cannot tell: no row in this check")


def test_a_mute_closes_the_alert_of_a_company_that_has_no_row_any_more(day: Day) -> None:
    company = {"metrics": {RATE: {"alert_per_company": True}}}
    day.settings = overlaid(company)
    day.check(rate(RATE, 50, 100, company=7))
    assert [alert(day.check()[RATE, 7]).state for _ in range(3)] == [AlertState.FIRING] * 3
    mute = {"rule": RATE, "company": 7, "until": "2026-03-03T08:00:00+01:00", "reason": "has left"}
    day.settings = overlaid({**company, "mutes": [mute]})
    assert day.check()[RATE, 7].action is Action.RESOLVE
    day.settings = overlaid(company)
    assert (RATE, 7) not in day.check()


def test_a_dead_source_whose_metrics_are_all_disabled_closes(day: Day) -> None:
    day.check(lost("cached_availability_entries", Loss.SOURCE, "Redis does not answer"))
    day.settings = overlaid({"metrics": {"cached_availability_entries": {"enabled": False}}})
    assert day.check()["source.redis.unknown", 0].action is Action.RESOLVE


# --- appointments -------------------------------------------------------------------------------------------


def test_an_alert_remembers_the_appointments_of_all_its_bad_checks_up_to_a_hundred(day: Day) -> None:
    day.check(count(ORPHANS, 2, 9, ids=[5, 3]))
    assert alert(day.check(count(ORPHANS, 2, 9, ids=[3, 8]))[ORPHANS, 0]).subjects == (5, 3, 8)
    many = alert(day.check(count(ORPHANS, 2, 9, ids=list(range(200))))[ORPHANS, 0]).subjects
    assert (many[:3], len(many)) == ((5, 3, 8), 100)


def test_orphans_stay_open_until_theirs_are_dealt_with(day: Day) -> None:
    clean = count(ORPHANS, 0, 9)
    day.check(count(ORPHANS, 9, 9, ids=list(range(9))))
    day.check(clean, left={(ORPHANS, 0): (7, 9)})
    waiting = day.check(clean, left={(ORPHANS, 0): (7, 9)})[ORPHANS, 0]
    assert (waiting.action, waiting.reason) == (Action.NOTHING, "window clean, 7 of 9 still without phases")
    assert day.check(clean)[ORPHANS, 0].reason == "window clean, 9 appointments not asked again"
    assert day.check(clean, left={(ORPHANS, 0): (0, 9)})[ORPHANS, 0].action is Action.RESOLVE


def test_another_alert_about_appointments_resolves_and_says_what_is_left(day: Day) -> None:
    day.check(replace(rate(RATE, 50, 100), detail={"ids": list(range(50))}))
    for _ in range(2):
        decision = day.check(rate(RATE, 100, 100), left={(RATE, 0): (7, 50)})[RATE, 0]
    assert (decision.action, decision.reason) == (
        Action.RESOLVE,
        "window clean, 7 of 50 still without phases",
    )


def test_a_lost_measurement_is_not_about_appointments(day: Day) -> None:
    orphans = count(ORPHANS, 2, 9, ids=[5, 3])
    told = alert(
        day.check(orphans.lost(Loss.LOST, "no such column"), rate(RATE, 99, 100))[f"{ORPHANS}.unknown", 0]
    )
    assert told.subjects == ()


# --- shared causes and storms -------------------------------------------------------------------------------


def test_a_dead_source_names_its_reason_and_what_it_hides(day: Day) -> None:
    names = day.settings.enabled("mysql")
    decisions = day.check(*(lost(name, Loss.SOURCE, "MySQL refuses the connection") for name in names))
    told = decisions["source.mysql.unknown", 0]
    assert (told.action, told.reason, told.hides) == (
        Action.OPEN,
        "MySQL refuses the connection",
        tuple(names),
    )
    assert decisions[f"{RATE}.unknown", 0].reason == "source.mysql.unknown speaks for it"
    assert [d.rule for d in day.all if sends(d)] == ["source.mysql.unknown"]


def test_a_source_of_which_something_can_be_read_is_not_dead(day: Day) -> None:
    names = day.settings.enabled("mysql")
    samples = [lost(name, Loss.SOURCE, "gone") for name in names if name != SYNC]
    told = [d.rule for d in day.check(*samples, rate(SYNC, 100, 100)).values() if sends(d)]
    assert told == [f"{name}.unknown" for name in names if name != SYNC]


def test_muting_a_dead_source_covers_what_it_hides(day: Day) -> None:
    day.settings = overlaid(
        {"mutes": [{"rule": "source.mysql.unknown", "until": "2027-01-01T00:00:00Z", "reason": "migration"}]}
    )
    day.check(*(lost(name, Loss.SOURCE, "gone") for name in day.settings.enabled("mysql")))
    assert not [d for d in day.all if sends(d)]


def test_a_dead_source_all_of_whose_metrics_are_muted_is_silent(day: Day) -> None:
    names = day.settings.enabled("log")
    mutes = [{"rule": n, "until": "2027-01-01T00:00:00Z", "reason": "log moves"} for n in names]
    day.settings = overlaid({"mutes": mutes})
    dead = [
        replace(judge(lost(n, Loss.SOURCE, "gone"), day.settings), muted="muted: log moves") for n in names
    ]
    assert not [d for d in day.decide(dead).values() if sends(d)]
    day.settings = overlaid({"mutes": mutes[:1]})
    one_muted = [dead[0], *(replace(verdict, muted="") for verdict in dead[1:])]
    assert [d.rule for d in day.decide(one_muted).values() if sends(d)] == ["source.log.unknown"]


def test_a_lost_measurement_is_not_told_again_for_single_companies(day: Day) -> None:
    day.settings = overlaid({"metrics": {RATE: {"alert_per_company": True}}})
    samples = [replace(lost(RATE, Loss.LOST, "no such column"), company_id=c) for c in (0, 7)]
    day.check(*samples, rate(SYNC, 100, 100))
    assert [d.rule for d in day.all if sends(d)] == [f"{RATE}.unknown"]


def test_what_is_inhibited_says_by_whom_and_speaks_when_the_cause_is_better(day: Day) -> None:
    orphans = count(ORPHANS, 60, 100, ids=[1])
    decisions = day.check(rate(RATE, 40, 100), orphans)
    assert decisions[ORPHANS, 0].reason == f"{RATE} is critical and speaks for it"
    assert day.check(rate(RATE, 94, 100), orphans)[ORPHANS, 0].action is Action.OPEN


def test_a_cause_that_is_not_open_yet_silences_nobody(day: Day) -> None:
    day.settings = overlaid({"metrics": {RATE: {"for_checks": 2}}})
    decisions = day.check(rate(RATE, 40, 100), count(ORPHANS, 60, 100))
    assert [decisions[RATE, 0].action, decisions[ORPHANS, 0].action] == [Action.NOTHING, Action.OPEN]


def test_a_critical_company_silences_its_own_effects_only(day: Day) -> None:
    day.settings = overlaid({"metrics": {m: {"alert_per_company": True} for m in (RATE, ORPHANS)}})
    orphans = [replace(count(ORPHANS, 60, 100), company_id=c) for c in (0, 7, 8)]
    decisions = day.check(rate(RATE, 40, 100, company=7), *orphans)
    silent = {c for c in (0, 7, 8) if decisions[ORPHANS, c].action is Action.NOTHING}
    assert silent == {7}


def test_two_causes_that_inhibit_each_other_are_not_both_silent(day: Day) -> None:
    day.settings = overlaid({"escalation": {"inhibit": {RATE: [SYNC], SYNC: [RATE]}}})
    day.check(rate(RATE, 40, 100), rate(SYNC, 40, 100))
    assert [d.rule for d in day.all if sends(d)] == [RATE]


def test_a_storm_of_companies_is_a_handful_of_messages(day: Day) -> None:
    metrics = [RATE, SYNC, "phase_distribution", ORPHANS, "stale_phases"]
    day.settings = overlaid({"metrics": {metric: {"alert_per_company": True} for metric in metrics}})
    companies = range(301)
    storm = [rate(m, 40, 100, company=c) for m in (RATE, SYNC) for c in companies]
    storm += [replace(count(m, 60, 100), company_id=c) for m in metrics[2:] for c in companies]
    messages = []
    for _ in range(3):
        day.check(*storm)
        messages.append([d for d in day.all if sends(d)])
    assert [len(told) for told in messages] == [4, 1, 2]  # opened; distribution pages; two at level 3
    assert sum(d.toggle for d in messages[2]) == 1
    assert len(day.ledger.open_alerts) == 4 * 301, "each is still an alert of its own"
    assert [len(d.companies) for d in messages[0]] == [300] * 4


def test_the_worst_companies_come_first_and_share_the_thread_of_the_one_that_speaks(day: Day) -> None:
    day.settings = overlaid({"metrics": {RATE: {"alert_per_company": True}}})
    good = {1: 94, 2: 40, 3: 93, 4: 20, 5: 92, 6: 91}
    decisions = day.check(*(rate(RATE, g, 100, company=c) for c, g in good.items()))
    speaker = decisions[RATE, 4]
    assert speaker.companies == (4, 2, 6, 5, 3, 1)
    assert (speaker.grouped, alert(speaker).thread_company) == (False, None)
    for company in (1, 2, 3, 5, 6):
        spoken_for = decisions[RATE, company]
        assert spoken_for.grouped
        assert not spoken_for.mention
        assert alert(spoken_for).thread_company == 4


def test_when_all_companies_together_have_the_news_they_speak_for_the_single_ones(day: Day) -> None:
    day.settings = overlaid({"metrics": {RATE: {"alert_per_company": True}}})
    day.check(rate(RATE, 60, 100), *(rate(RATE, 50, 100, company=c) for c in range(1, 8)))
    (told,) = [d for d in day.all if sends(d)]
    assert (told.company_id, told.companies) == (0, (1, 2, 3, 4, 5, 6, 7))


def test_who_speaks_for_others_calls_for_them_and_tells_that_they_got_worse(day: Day) -> None:
    day.settings = overlaid({"metrics": {RATE: {"alert_per_company": True}}})
    companies = range(1, 8)
    day.check(rate(RATE, 94, 100), *(rate(RATE, 50, 100, company=c) for c in companies))
    (opened,) = [d for d in day.all if sends(d)]
    assert (opened.company_id, opened.mention, opened.diagnose) == (0, True, True)

    day = Day(day.settings)
    day.check(rate(RATE, 94, 100), *(rate(RATE, 94, 100, company=c) for c in companies))
    day.check(rate(RATE, 94, 100), *(rate(RATE, 50, 100, company=c) for c in companies))
    (worse,) = [d for d in day.all if sends(d)]
    assert (worse.company_id, worse.moved) == (0, True)


def test_five_companies_speak_for_themselves(day: Day) -> None:
    day.settings = overlaid({"metrics": {RATE: {"alert_per_company": True}}})
    day.check(*(rate(RATE, 50, 100, company=c) for c in range(1, 6)))
    assert len([d for d in day.all if sends(d)]) == 5
