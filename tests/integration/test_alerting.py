# SPDX-License-Identifier: MIT
"""A check's alerts from verdicts to Slack: acknowledgements, dry runs, old checks, a storm, a connection that is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from slack_sdk import WebClient

from demo.slack import CHANNELS, StandInSlack
from processing_time.alerting import Check, Outcome, describe, escalate, preview
from processing_time.delivery import DeliveryError
from processing_time.evaluation import judge
from processing_time.model import Action, AlertState, Sample, Verdict
from processing_time.settings import Settings
from processing_time.store import Store
from processing_time.summary import summarise
from processing_time.timeline import Timeline
from tests.integration.crashing import RATE, START
from tests.integration.crashing import settings as with_channels
from tests.integration.own_schema import fresh

ANNA, BEN, BOT = "U0ANNA00001", "U0BEN000001", "U0DEPLOY001"
ORPHANS, SYNC = "orphaned_appointments", "calcom_sync_success_rate"
CRITICAL = CHANNELS["critical"]


class Day:
    """Checks, an hour apart, and the thread that they make."""

    def __init__(self, connect: Callable[[], Any], slack: StandInSlack) -> None:
        self.slack, self.store, self.settings = slack, Store(connect), with_channels()
        self.recheck: dict[tuple[str, int], tuple[int, int]] = {}

    def made(self, hour: float, verdicts: Sequence[Verdict] | None = None, failing: int = 18) -> Check:
        as_of = START + timedelta(hours=hour)
        given = [rate(failing, hour=hour)] if verdicts is None else verdicts
        timeline = Timeline(as_of, self.settings.zone, self.settings.application_zone, as_of)
        summary = summarise(given, {}, {}, self.settings, timeline)
        self.store.save_check(
            as_of=as_of, dag_run_id="r", verdicts=given, state=summary.state, flags=None, facts={}, sources=()
        )
        return Check(as_of, given, summary)

    def check(
        self, hour: float, verdicts: Sequence[Verdict] | None = None, failing: int = 18, **more: Any
    ) -> Outcome:
        check = self.made(hour, verdicts, failing)
        given = {
            "clock": lambda: check.as_of + timedelta(seconds=30),
            "sleep": lambda _: None,
            "recheck": lambda _: self.recheck,
        }
        return escalate(
            self.store, more.pop("client", self.client), self.settings, check, **{**given, **more}
        )

    def client(self) -> WebClient:
        return WebClient(self.slack.token, base_url=self.slack.base_url, retry_handlers=[], timeout=1)

    def react(self, user: str, name: str = "eyes") -> None:
        first = self.slack.messages()[0]
        self.slack.react(first["channel"], first["ts"], name, user)

    def kinds(self) -> list[str]:
        return [m["metadata"]["event_payload"]["key"].split("/")[3] for m in self.slack.messages()]

    def only(self, **slack: Any) -> None:
        self.settings = self.settings.model_copy(
            update={"slack": self.settings.slack.model_copy(update=slack)}
        )


def rate(
    failing: int,
    total: int = 60,
    *,
    hour: float = 0,
    company: int = 0,
    metric: str = RATE,
    settings: Settings | None = None,
) -> Verdict:
    as_of = START + timedelta(hours=hour)
    settings = settings or with_channels()
    timeline = Timeline(as_of, settings.zone, settings.application_zone, as_of)
    good = total - failing
    return judge(
        Sample(metric, timeline.windows["today"], company, 100 * good / total, good, total), settings
    )


def with_rate(settings: Settings, **changed: Any) -> Settings:
    metrics = {**settings.metrics, RATE: settings.metrics[RATE].model_copy(update=changed)}
    return settings.model_copy(update={"metrics": metrics})


def orphans(count: int, *ids: int, hour: float = 0) -> Verdict:
    settings = with_channels()
    as_of = START + timedelta(hours=hour)
    window = Timeline(as_of, settings.zone, settings.application_zone, as_of).windows["yesterday_and_today"]
    return judge(Sample(ORPHANS, window, 0, count, count, 60, {"ids": list(ids)}), settings)


@pytest.fixture
def day(mariadb: Any, slack: StandInSlack) -> Iterator[Day]:
    made = Day(fresh(mariadb), slack)
    yield made
    made.store.close()


def test_the_root_says_the_alerts_number_now_and_when_it_changes(day: Day) -> None:
    day.check(0, [rate(4), orphans(3, 1, 2, 3)])
    for hour in (2, 3):
        day.check(hour, failing=0)
    with day.store:
        numbers = {a.rule: a.id for a in day.store.alerts(START, START + timedelta(hours=1))}
    shown = {m["ts"]: str(m["blocks"]) for m in day.slack.messages() if "thread_ts" not in m}
    assert len(numbers) == len(shown) == len(set(numbers.values())) == 2
    for number in numbers.values():
        assert sum(f"*Alert*\\n{number}'" in blocks for blocks in shown.values()) == 1
    assert not any("alert id" in str(m) for m in day.slack.messages())


def test_what_closes_and_opens_again_when_a_check_is_cleared_has_a_thread_of_its_own(day: Day) -> None:
    day.check(0, failing=4)
    watched = day.settings
    day.settings = with_rate(watched, enabled=False)
    day.check(0, [])
    day.settings = watched
    day.check(0, failing=4)
    assert day.kinds() == ["opened", "resolved", "opened"]
    day.check(1, failing=4)
    assert day.kinds()[3:] == ["escalated", "diagnostics"]
    closed, again = (m for m in day.slack.messages() if "thread_ts" not in m)
    assert closed["text"].startswith("✅ Resolved")
    assert again["text"].startswith("🔴 HIGH")
    assert {m["thread_ts"] for m in day.slack.messages()[3:]} == {again["ts"]}


# --- acknowledgements -------------------------------------------------------------------------------------------


def test_eyes_hold_the_escalation_and_the_thread_says_who(day: Day) -> None:
    day.check(0)
    day.react(ANNA)
    outcome = day.check(1)
    assert [d.action for d in outcome.decisions] == [Action.ACKNOWLEDGE]
    day.check(2)
    day.check(3)
    assert day.kinds() == ["opened", "diagnostics", "acknowledged"], "no level 3 while it is held"
    said = day.slack.messages()[-1]["text"]
    assert said.startswith("👀 Anna Krüger (U0ANNA00001) has taken it. ")
    assert "<@" not in said, "nobody is called who is not in the settings"
    (alert,) = outcome.open_alerts
    assert (alert.state, alert.acknowledged_by) == (AlertState.ACKNOWLEDGED, ANNA)
    assert day.slack.messages()[0]["text"].startswith("👀 CRITICAL, acknowledged")


@pytest.mark.parametrize(
    ("user", "name"), [(BOT, "eyes"), ("U0MONITOR01", "eyes"), (ANNA, "thumbsup"), ("U0NOBODY001", "eyes")]
)
def test_who_or_what_does_not_acknowledge(day: Day, user: str, name: str) -> None:
    day.check(0)
    day.react(user, name)
    day.check(1)
    assert day.kinds() == ["opened", "diagnostics"]


def test_only_those_whom_the_settings_list(day: Day) -> None:
    day.only(acknowledgers=(BEN,))
    day.check(0)
    day.react(ANNA)
    day.check(1)
    assert day.kinds() == ["opened", "diagnostics"]
    day.react(BEN)
    day.check(1.5)
    assert day.kinds() == ["opened", "diagnostics", "acknowledged"]


def test_one_reaction_acknowledges_once(day: Day) -> None:
    day.check(0)
    day.react(ANNA)
    for hour in (1, 2, 3, 4, 5, 6):
        day.check(hour)
    assert day.kinds().count("acknowledged") == 1
    assert "escalated" in day.kinds(), "the hold has ended"
    day.react(BEN)
    day.check(7)
    assert day.kinds().count("acknowledged") == 2


@pytest.mark.parametrize(
    "fault", [("ok_false", {"error": "message_not_found"}), ("500", {}), ("drop", {}), ("hang", {})]
)
def test_reactions_that_cannot_be_read_stop_nothing(day: Day, fault: tuple[str, dict[str, Any]]) -> None:
    day.check(0)
    day.react(ANNA)
    day.slack.fail("reactions.get", fault[0], times=3, **fault[1])
    for hour in (1, 2):
        day.check(hour)
    assert day.kinds() == ["opened", "diagnostics", "escalated"]


def test_a_message_that_cannot_be_read_keeps_the_reactions_it_had(day: Day) -> None:
    day.check(0)
    day.react(ANNA)
    day.check(1)
    day.slack.fail("reactions.get", "ok_false", error="message_not_found")
    day.check(2)
    day.check(3)
    assert day.kinds().count("acknowledged") == 1


def test_without_the_scope_for_people_nobody_acknowledges(day: Day, caplog: pytest.LogCaptureFixture) -> None:
    day.check(0)
    day.react(ANNA)
    scopes = ["chat:write", "channels:history", "reactions:read"]
    day.slack.update(tokens={day.slack.token: {"scopes": scopes}})
    day.check(1)
    assert "acknowledged" not in day.kinds()
    assert "lacks the scope users:read" in caplog.text


def test_the_worse_channel_hears_the_end_as_well(day: Day) -> None:
    for hour, failing in enumerate((4, 18, 0)):
        day.check(hour, failing=failing)
    (told,) = day.slack.messages(CRITICAL)
    assert told["text"].startswith("🚨 CRITICAL")
    day.check(3, failing=0)
    (told,) = day.slack.messages(CRITICAL)
    assert told["text"].startswith("✅ Resolved")


def test_the_worse_channel_hears_the_end_of_many_companies_whoever_speaks_for_them(day: Day) -> None:
    day.settings = with_rate(day.settings, alert_per_company=True)

    def check(hour: int, failing: Callable[[int], int]) -> str:
        day.check(hour, [rate(failing(c), hour=hour, company=c) for c in range(1, 8)])
        return str(day.slack.messages(CRITICAL)[0]["text"]) if day.slack.messages(CRITICAL) else ""

    check(0, lambda _: 4)
    assert check(1, lambda company: 18 + company).startswith("🚨 CRITICAL")  # company 7 is the worst
    check(2, lambda _: 0)
    assert check(3, lambda _: 0).startswith("✅ Resolved"), "company 1 speaks"


def test_the_worse_channel_hears_the_end_of_a_thread_that_ends_bit_by_bit(day: Day) -> None:
    day.settings = with_rate(day.settings, alert_per_company=True)
    told = []
    for hour, well in enumerate((0, 0, 1, 1, 7, 7)):
        failing = [0] * well + [4 if hour == 0 else 18] * (7 - well)
        day.check(hour, [rate(f, hour=hour, company=c) for c, f in enumerate(failing, 1)])
        told += [m["text"].splitlines()[0] for m in day.slack.messages(CRITICAL)]
    assert told[0].startswith("🚨 CRITICAL")
    assert told[2].startswith("🚨 CRITICAL"), "company 1, whose message it is, is well; six are not"
    assert told[-1].startswith("✅ Resolved")


def test_the_worse_channel_hears_the_end_of_a_thread_for_which_another_speaks(day: Day) -> None:
    day.settings = with_rate(day.settings, alert_per_company=True)
    for hour, (early, others) in enumerate(((4, 0), (18, 18), (0, 0), (0, 0))):
        found = [rate(others, hour=hour, company=c) for c in range(1, 8)]
        day.check(hour, [*found, rate(early, hour=hour, company=8)])
    assert day.kinds().count("moved") == 1
    assert [
        m["text"][:10] for m in day.slack.messages(CRITICAL) if m.get("thread_ts", m["ts"]) == m["ts"]
    ] == [
        "✅ Resolved",
        "✅ Resolved",
    ]


# --- what a check gives to the tasks after it -------------------------------------------------------------------


def test_level_3_asks_for_the_toggle_until_it_is_over(day: Day) -> None:
    assert day.check(0).to_json() == {
        "toggles": [],
        "open": [{"rule": RATE, "severity": "critical", "seen": True}],
    }
    day.check(1)
    (asked,) = day.check(2).to_json()["toggles"]
    assert (asked["rule"], asked["company_id"]) == (RATE, 0)
    assert day.check(2).to_json()["toggles"] == [asked], "the same check again"
    assert day.check(3).to_json()["toggles"] == [asked], (
        "the task may have been lost: the run's id is the alert's"
    )
    day.check(4, failing=0)
    assert day.check(5, failing=0).to_json() == {"toggles": [], "open": []}


def test_who_reached_level_3_with_another_starts_no_run_when_that_one_is_over(day: Day) -> None:
    def asked(hour: int, phases: int, syncs: int) -> list[str]:
        found = [rate(phases, hour=hour), rate(syncs, hour=hour, metric=SYNC)]
        return [a["rule"] for a in day.check(hour, found).to_json()["toggles"]]

    assert [asked(hour, 18, 18) for hour in (0, 1, 2)] == [[], [], [RATE]]
    assert [asked(hour, 0, 18) for hour in (3, 4, 5)] == [[RATE], [], []], (
        "one proposal was made, and answered"
    )
    assert [asked(hour, 0, 0) for hour in (6, 7)] == [[], []]


def test_an_older_check_says_and_decides_nothing(day: Day) -> None:
    day.check(3, failing=0)
    calls = len(day.slack.calls())
    outcome = day.check(2)
    assert (outcome.decisions, outcome.open_alerts) == ([], [])
    assert len(day.slack.calls()) == calls
    assert len(day.store.verdicts(START + timedelta(hours=2))) == 1
    assert [c.finished_at is not None for c in day.store.checks(START, START + timedelta(hours=9))] == [
        True,
        True,
    ]


def test_a_dry_run_writes_and_sends_nothing(day: Day) -> None:
    day.check(0)
    calls = day.slack.calls()
    check = day.made(1)
    before = day.store.standing(check.as_of, day.settings)
    decisions, messages = preview(day.store, day.settings, Check(check.as_of, [rate(0)], check.summary))
    assert [describe(d) for d in decisions] == [f"nothing: {RATE}: clear for 1 of 2 checks"]
    decisions, messages = preview(day.store, day.settings, check)
    assert messages == []
    assert day.store.standing(check.as_of, day.settings) == before
    assert day.slack.calls() == calls


def test_a_dry_run_of_an_older_check_says_what_that_would_do(day: Day) -> None:
    day.check(3, failing=0)
    assert preview(day.store, day.settings, day.made(2)) == ([], [])


def test_a_missing_connection_keeps_the_state_and_owes_the_message(day: Day) -> None:
    def missing() -> WebClient:
        raise DeliveryError("the connection processing_time_slack cannot be used")

    day.check(0, failing=0, client=missing)
    with pytest.raises(DeliveryError, match="processing_time_slack"):
        day.check(1, client=missing)
    (alert,) = day.store.standing(START + timedelta(hours=1), day.settings).open_alerts
    assert (alert.rule, alert.slack_ts) == (RATE, None)
    assert day.slack.messages() == []
    day.check(1)
    assert day.kinds() == ["opened", "diagnostics"]


# --- appointments, companies ------------------------------------------------------------------------------------


def test_orphans_resolve_when_theirs_are_dealt_with(day: Day) -> None:
    day.check(0, [orphans(2, 7, 9)])
    day.recheck = {(ORPHANS, 0): (1, 2)}
    for hour in (1, 2, 3):
        day.check(hour, [orphans(0, hour=hour)])
    assert day.kinds() == ["opened"]
    day.recheck = {(ORPHANS, 0): (0, 2)}
    day.check(4, [orphans(0, hour=4)])
    assert day.kinds() == ["opened", "resolved"]


def test_a_storm_of_companies_is_a_handful_of_messages(day: Day) -> None:
    """All that can be bad is bad, for 300 companies at once, and then all is well again."""
    alerting = {
        key: metric.model_copy(update={"alert_per_company": True})
        for key, metric in day.settings.metrics.items()
    }
    day.settings = day.settings.model_copy(update={"metrics": alerting})
    day.check(0, everything(day.settings, 0, bad=True))
    opened = day.slack.messages()
    assert len([m for m in opened if "thread_ts" not in m or m["thread_ts"] == m["ts"]]) <= 8
    assert len(opened) <= 8
    assert any("more companies left out" in str(m["blocks"]) for m in opened)
    assert not day.slack.calls("conversations.history"), "none was refused, none in doubt"
    assert all(call["answer"]["ok"] for call in day.slack.calls("chat.postMessage"))
    alerts = day.store.alerts(START, START + timedelta(hours=1))
    assert len(alerts) > 900
    assert all(a.slack_ts for a in alerts), "each knows its thread"
    for hour in (1, 2):
        day.check(hour, everything(day.settings, hour, bad=False))
    closed = [m for m in day.slack.messages() if m not in opened and m["ts"] > opened[-1]["ts"]]
    assert len(closed) <= 8
    assert [
        a for a in day.store.alerts(START, START + timedelta(hours=9)) if a.state is not AlertState.RESOLVED
    ] == []
    assert all(
        "Resolved" in m["text"] for m in day.slack.messages() if m.get("thread_ts", m["ts"]) == m["ts"]
    )


def everything(settings: Settings, hour: float, *, bad: bool) -> list[Verdict]:
    as_of = START + timedelta(hours=hour)
    windows = Timeline(as_of, settings.zone, settings.application_zone, as_of).windows
    found = []
    for key, metric in settings.metrics.items():
        if metric.alert is None:
            continue
        past = metric.critical if metric.critical is not None else metric.alert
        higher = metric.better == "higher"
        value = (past - 10 if bad else 100.0) if higher else (past + 10 if bad else 0.0)
        companies = range(301) if metric.source == "mysql" else (0,)
        for company in companies:
            sample = Sample(
                key, windows[metric.window], company, value, value if metric.unit != "%" else value * 10, 1000
            )
            found.append(judge(sample, settings))
    for key, rule in settings.log_rules.items():
        count = rule.more_than + 1 if bad else 0
        found.append(judge(Sample(key, windows["since_last_check"], 0, count, count, None), settings))
    return found
