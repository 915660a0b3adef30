# SPDX-License-Identifier: MIT
"""The outbox to a Slack that answers as it pleases: refusals, waits, lost answers, silence. Real store, real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from slack_sdk import WebClient

from demo.slack import CHANNELS, STRANGE_CHANNELS, StandInSlack
from processing_time import slack_calls
from processing_time.delivery import DeliveryError, deliver
from processing_time.escalation import Standing
from processing_time.model import Action, Alert, AlertState, Decision, Severity, State
from processing_time.outbox import THREAD_ADDRESS, Notification, Place
from processing_time.settings import Settings, load
from processing_time.slack_calls import Slack
from processing_time.store import Store
from processing_time.store_session import fetch
from tests.integration.own_schema import fresh

AS_OF = datetime(2026, 11, 20, 10, tzinfo=UTC)
RATE = "phase_creation_success_rate"
HIGH, CRITICAL = CHANNELS["high"], CHANNELS["critical"]
NAMES = "<!channel> & <b>"


class Clock:
    """Slack's time at first; then only sleeping moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += timedelta(seconds=seconds)


class Bench:
    """A store, a Slack, and what is said between them."""

    def __init__(self, connect: Callable[[], Any], slack: StandInSlack) -> None:
        self.connect, self.slack, self.clock = connect, slack, Clock()
        self.store = Store(connect)
        self.settings = with_channels()
        self.timeout = 1
        self._checks = 0

    def owe(self, *notifications: Notification) -> None:
        """Commit messages with the alerts that they are about, as a check does."""
        as_of = AS_OF + timedelta(hours=self._checks)
        self._checks += 1
        self.store.save_check(
            as_of=as_of, dag_run_id="r", verdicts=[], state=State.OK, flags=None, facts={}, sources=()
        )

        def ruling(standing: Standing) -> Any:
            now = {a.key: a for a in standing.open_alerts}
            about = [n.alert for n in notifications if n.alert]
            decisions = [
                Decision(Action.NOTHING, k[0], k[1], "", now.get(k), now.get(k) or alert(*k))
                for k in dict.fromkeys(about)
            ]
            return decisions, notifications

        self.store.decide(as_of, ruling, self.settings, self.clock())

    def deliver(self, store: Store | None = None) -> int:
        client = WebClient(
            self.slack.token, base_url=self.slack.base_url, timeout=self.timeout, retry_handlers=[]
        )
        return deliver(
            (store or self.store).outbox,
            Slack(client, self.clock.sleep),
            self.settings,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def owed(self) -> list[str]:
        return [o.dedupe_key for o in self.store.outbox.due(self.clock())]

    def said(self) -> list[tuple[str, str]]:
        return [(m["channel"], m["text"]) for m in self.slack.messages()]

    def kept(self) -> list[str]:
        """Why each message that is still owed is so."""
        return [
            row["last_error"]
            for row in rows(
                self.connect, "SELECT last_error FROM notifications WHERE delivered_at IS NULL ORDER BY id"
            )
        ]


def rows(connect: Callable[[], Any], sql: str) -> list[dict[str, Any]]:
    with closing(connect()) as connection, closing(connection.cursor()) as cursor:
        return fetch(cursor, sql)


def with_channels(target: str = "", **channels: str | None) -> Settings:
    settings = load(target=target)
    given = {**CHANNELS, **channels}
    slack = settings.slack.model_copy(update={"channels": settings.slack.channels.model_copy(update=given)})
    return settings.model_copy(update={"slack": slack})


def alert(rule: str = RATE, company: int = 0, **more: Any) -> Alert:
    times = dict.fromkeys(("opened_at", "last_seen_at", "last_counted_at", "last_told_at"), AS_OF)
    given = {"severity": Severity.HIGH, "level": 1, "state": AlertState.FIRING, **times}
    return Alert(rule, company, **{**given, **more})


def note(text: str, place: Place = Place.CHANNEL, route: str = "high", **more: Any) -> Notification:
    rule = more.pop("rule", None)
    return Notification(
        kind="opened",
        dedupe_key=more.pop("key", f"key/{text}"),
        route=route,
        payload=payload(text),
        place=place,
        alert=(rule, 0) if rule else None,
        **more,
    )


def payload(text: str) -> dict[str, Any]:
    return {"text": text, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}


def root(text: str = "root", rule: str = RATE, **more: Any) -> Notification:
    return note(text, Place.ROOT, rule=rule, **more)


def reply(text: str, place: Place = Place.THREAD, rule: str = RATE, **more: Any) -> Notification:
    return note(text, place, rule=rule, **more)


@pytest.fixture
def bench(mariadb: Any, slack: StandInSlack) -> Iterator[Bench]:
    made = Bench(fresh(mariadb), slack)
    yield made
    made.store.close()


# --- all goes well --------------------------------------------------------------------------------------------


def test_a_message_arrives_and_is_no_longer_owed(bench: Bench) -> None:
    bench.owe(root())
    assert bench.deliver() == 1
    (message,) = bench.slack.messages()
    assert message["channel"] == HIGH
    assert message["metadata"] == {"event_type": "processing_time", "event_payload": {"key": "key/root"}}
    assert message["blocks"][0]["text"]["text"] == "root"
    (stored,) = bench.store.standing(AS_OF, bench.settings).open_alerts
    assert (stored.slack_channel, stored.slack_ts) == (HIGH, message["ts"])
    assert bench.owed() == []
    assert bench.deliver() == 0
    assert len(bench.slack.messages()) == 1
    (call,) = bench.slack.calls("chat.postMessage")
    assert (call["arguments"]["unfurl_links"], call["arguments"]["unfurl_media"]) == (False, False)


def test_a_thread_is_told_in_order_and_its_root_changes(bench: Bench) -> None:
    bench.owe(root(), reply("one"))
    bench.owe(reply("two", Place.BROADCAST, root=payload("root, later")))
    assert bench.deliver() == 3
    first, one, two = bench.slack.messages()
    assert [m["text"] for m in (first, one, two)] == ["root, later", "one", "two"]
    assert one["thread_ts"] == two["thread_ts"] == first["ts"]
    assert (one.get("subtype"), two.get("subtype")) == (None, "thread_broadcast")
    assert first["blocks"][0]["text"]["text"] == "root, later"
    assert first["metadata"]["event_payload"] == {"key": "key/root"}


def test_a_root_alone_changes_without_a_message(bench: Bench) -> None:
    bench.owe(root(), reply("over", Place.ROOT_ONLY))
    bench.deliver()
    assert bench.said() == [(HIGH, "over")]


def test_the_other_channel_gets_the_address_of_the_thread(bench: Bench) -> None:
    bench.owe(root(), note(f"see <{THREAD_ADDRESS}|the thread>", route="critical", rule=RATE, key="moved"))
    bench.deliver()
    first, moved = bench.slack.messages()
    assert moved["channel"] == CRITICAL
    assert f"/archives/{HIGH}/p{first['ts'].replace('.', '')}|the thread>" in moved["text"]
    assert f"/archives/{HIGH}/p" in moved["blocks"][0]["text"]["text"]


def test_names_arrive_as_text(bench: Bench) -> None:
    from processing_time.messages.blocks import render
    from processing_time.messages.document import Message, Paragraph

    rendered = render(Message(NAMES, (Paragraph(NAMES),)), load())
    bench.owe(Notification("opened", "k", "high", rendered))
    bench.deliver()
    assert [m["text"].count("<") for m in bench.slack.messages()] == [0]


def test_one_message_a_second_a_channel(bench: Bench) -> None:
    bench.owe(*(note(f"{route} {n}", route=route) for n in range(3) for route in ("high", "critical")))
    bench.deliver()
    assert bench.clock.slept == [1.0, 1.0], "while one channel waits, the other one's second passes too"


def test_what_is_not_due_waits(bench: Bench) -> None:
    bench.owe(note("later", not_before=bench.clock() + timedelta(minutes=5)))
    assert bench.deliver() == 0
    bench.clock.now += timedelta(minutes=5)
    assert bench.deliver() == 1


# --- Slack asks to wait ---------------------------------------------------------------------------------------


def test_retry_after_is_waited_for(bench: Bench) -> None:
    bench.slack.fail("chat.postMessage", "429", retry_after=7, times=2)
    bench.owe(root())
    bench.deliver()
    assert bench.clock.slept == [7, 7]
    assert bench.said() == [(HIGH, "root")]


def test_a_long_wait_is_left_to_the_tasks_retry(bench: Bench) -> None:
    bench.slack.fail("chat.postMessage", "429", retry_after=20, times=2)
    bench.owe(root(), note("other", route="critical"))
    with pytest.raises(
        DeliveryError, match=r"2 of 2 messages are still owed to Slack: Slack asks to wait 20 s"
    ):
        bench.deliver()
    assert bench.clock.slept == [20]
    assert bench.owed() == ["key/root", "key/other"]
    assert bench.slack.calls("conversations.history") == []
    bench.deliver()
    assert bench.said() == [(HIGH, "root"), (CRITICAL, "other")]
    assert bench.slack.calls("conversations.history") == [], "a refusal leaves no doubt to look into"


# --- the answer is lost -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["500", "accept_then_500", "accept_then_hang", "accept_then_drop", "hang", "drop"]
)
@pytest.mark.parametrize("place", ["root", "reply", "broadcast"])
def test_a_lost_answer_never_makes_two(bench: Bench, kind: str, place: str) -> None:
    if place != "root":
        bench.owe(root())
        bench.deliver()
    message = {"root": root(), "reply": reply("x"), "broadcast": reply("x", Place.BROADCAST)}[place]
    bench.slack.fail("chat.postMessage", kind)
    bench.owe(message)
    assert bench.deliver() == 1
    texts = [m["text"] for m in bench.slack.messages()]
    assert texts == (["root"] if place == "root" else ["root", "x"])
    assert bench.owed() == []


def test_the_message_of_another_target_is_not_taken_for_the_lost_one(
    bench: Bench, mariadb: Any, slack: StandInSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both alert at the same instant, of the same rule, in one channel: only their names tell the messages apart."""
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", '{"berlin": {}, "hamburg": {}}')
    bench.settings = with_channels("berlin")
    bench.owe(note("berlin", key="same"))
    bench.deliver()
    hamburg = Bench(fresh(mariadb), slack)  # with a store of its own
    hamburg.settings = with_channels("hamburg")
    hamburg.owe(note("hamburg", key="same"))
    slack.fail("chat.postMessage", "drop")
    assert hamburg.deliver() == 1
    hamburg.store.close()
    assert bench.said() == [(HIGH, "berlin"), (HIGH, "hamburg")]


@pytest.mark.parametrize("kind", ["accept_then_drop", "drop"])
def test_what_stays_in_doubt_is_looked_for_by_the_next_task(bench: Bench, kind: str) -> None:
    bench.slack.fail("chat.postMessage", kind)
    bench.slack.fail("conversations.history", "500")
    bench.owe(root())
    with pytest.raises(DeliveryError, match="Slack broke at conversations_history"):
        bench.deliver()
    assert bench.owed() == ["key/root"]
    bench.clock.now += timedelta(hours=1)
    assert bench.deliver() == 1
    assert bench.said() == [(HIGH, "root")]


def test_an_answer_lost_twice_is_left_to_the_next_task(bench: Bench) -> None:
    bench.slack.fail("chat.postMessage", "drop", times=2)
    bench.owe(root(), note("other", route="critical"))
    with pytest.raises(
        DeliveryError, match="1 of 2 messages are still owed to Slack: Slack's answer was lost"
    ):
        bench.deliver()
    assert bench.said() == [(CRITICAL, "other")], "one failure does not hold up another thread"
    assert bench.deliver() == 1
    assert bench.said()[1:] == [(HIGH, "root")]


def test_a_slack_that_is_not_well_is_left_alone(bench: Bench) -> None:
    bench.slack.fail("chat.postMessage", "drop", times=20)
    bench.owe(*(note(f"n{number}") for number in range(8)))
    with pytest.raises(DeliveryError, match="8 of 8"):
        bench.deliver()
    assert len(bench.slack.calls("chat.postMessage")) == 6, "three messages, twice each"


def test_it_is_found_among_many_others(bench: Bench) -> None:
    bench.slack.fail("chat.postMessage", "accept_then_drop")
    bench.slack.fail("conversations.history", "500")
    bench.owe(root())
    with pytest.raises(DeliveryError):
        bench.deliver()
    other = WebClient(bench.slack.token, base_url=bench.slack.base_url, retry_handlers=[])
    for number in range(230):
        other.chat_postMessage(channel=HIGH, text=f"chatter {number}")
    bench.deliver()
    assert len([text for _, text in bench.said() if text == "root"]) == 1


def test_without_the_scope_to_look_it_is_sent_again(bench: Bench) -> None:
    """Then nobody can tell: a second message is better than none."""
    scopes = ["chat:write"]
    bench.slack.update(tokens={bench.slack.token: {"scopes": scopes}})
    bench.slack.fail("chat.postMessage", "accept_then_drop")
    bench.owe(root())
    assert bench.deliver() == 1
    assert bench.said() == [(HIGH, "root")] * 2


# --- Slack cannot be reached -----------------------------------------------------------------------------------


def test_refused_connections_owe_everything(bench: Bench) -> None:
    bench.owe(root(), note("other", route="critical"))
    bench.slack.stop()
    with pytest.raises(DeliveryError, match=r"2 of 2 .*Slack cannot be reached.*base_url") as caught:
        bench.deliver()
    assert bench.slack.token not in str(caught.value)
    bench.slack.start()
    assert bench.deliver() == 2
    assert bench.said() == [(HIGH, "root"), (CRITICAL, "other")]
    assert bench.slack.calls("conversations.history") == []


# --- Slack says no ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_blocks_too_long", "msg_too_long"])
def test_blocks_that_slack_refuses_go_as_plain_text(bench: Bench, error: str) -> None:
    bench.slack.fail("chat.postMessage", "ok_false", error=error)
    bench.owe(root())
    bench.deliver()
    (message,) = bench.slack.messages()
    assert message["text"] == "root"
    assert "blocks" not in message


def test_blocks_that_slack_really_refuses_go_as_plain_text(bench: Bench) -> None:
    broken = {
        "text": "plain",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}],
    }
    bench.owe(root())
    bench.owe(Notification("reminder", "k", "high", broken, Place.THREAD, (RATE, 0), root=broken))
    bench.deliver()
    first, second = bench.slack.messages()
    assert (first["text"], second["text"]) == ("plain", "plain")
    assert "blocks" not in first
    assert "blocks" not in second


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        (STRANGE_CHANNELS["uninvited"], "not_in_channel"),
        (STRANGE_CHANNELS["archived"], "is_archived"),
        (STRANGE_CHANNELS["secret"], "channel_not_found"),
        ("C0NOWHERE01", "channel_not_found"),
    ],
)
def test_a_channel_that_takes_nothing_has_a_stand_in(bench: Bench, channel: str, error: str) -> None:
    bench.settings = with_channels(high=channel)
    bench.owe(root(), reply("reply"))
    assert bench.deliver() == 2
    first, second = bench.slack.messages()
    assert first["channel"] == second["channel"] == CRITICAL
    assert second["thread_ts"] == first["ts"], "the thread is where its root is"
    assert f"meant for <#{channel}>: {error}" in first["text"]
    assert f"meant for <#{channel}>: {error}" in first["blocks"][0]["elements"][0]["text"]
    (stored,) = bench.store.standing(AS_OF, bench.settings).open_alerts
    assert stored.slack_channel == CRITICAL


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("opened", "restricted_action_read_only_channel"),
        ("opened", "restricted_action_thread_only_channel"),
        ("reminder", "restricted_action_non_threadable_channel"),
        ("reminder", "restricted_action_thread_locked"),
    ],
)
def test_a_channel_that_admins_have_restricted_has_a_stand_in(bench: Bench, kind: str, error: str) -> None:
    bench.owe(root())
    if kind == "reminder":
        bench.deliver()
        bench.owe(reply("reminder"))
    bench.slack.fail("chat.postMessage", "ok_false", error=error)
    bench.deliver()
    message = bench.slack.messages()[-1]
    assert "thread_ts" not in message
    assert message["channel"] == (HIGH if kind == "reminder" else CRITICAL), "else the channel of the thread"
    assert error in message["text"]


def test_no_channel_at_all_names_the_fix(bench: Bench) -> None:
    uninvited = STRANGE_CHANNELS["uninvited"]
    bench.settings = with_channels(**dict.fromkeys(CHANNELS, uninvited))
    bench.owe(root())
    with pytest.raises(DeliveryError, match=f"{uninvited} not_in_channel.*/invite @.*slack.channels"):
        bench.deliver()
    bench.settings = with_channels(**dict.fromkeys(CHANNELS, None))
    with pytest.raises(DeliveryError, match=r"no Slack channel is set: set slack\.channels\.high"):
        bench.deliver()
    bench.settings = with_channels()
    assert bench.deliver() == 1
    assert bench.said() == [(HIGH, "root")]


def test_a_thread_that_is_gone_goes_on_in_the_channel(bench: Bench) -> None:
    bench.owe(root())
    bench.deliver()
    with Store(bench.connect) as other:
        other._session.run(lambda cursor: cursor.execute("UPDATE alerts SET slack_ts = '1.000001'"))
    bench.owe(reply("still here", root=payload("changed")))
    assert bench.deliver() == 1
    assert [(c, t.splitlines()[-1]) for c, t in bench.said()] == [(HIGH, "root"), (HIGH, "still here")]
    assert "thread_not_found" in bench.said()[1][1]


def test_what_went_to_the_channel_instead_of_its_thread_is_found_there(bench: Bench) -> None:
    bench.owe(root())
    bench.deliver()
    with Store(bench.connect) as other:
        other._session.run(lambda cursor: cursor.execute("UPDATE alerts SET slack_ts = '1.000001'"))
    bench.slack.fail("chat.postMessage", "ok_false", error="thread_not_found")
    bench.slack.fail("chat.postMessage", "accept_then_drop")
    bench.slack.fail("conversations.history", "500")
    bench.owe(reply("still here"))
    with pytest.raises(DeliveryError, match="Slack broke at conversations_history"):
        bench.deliver()
    assert bench.deliver() == 1
    assert [t.splitlines()[-1] for _, t in bench.said()] == ["root", "still here"]


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("xoxb-wrong-token", r"Slack refuses the token \(invalid_auth\).*processing_time_slack"),
        ("xoxb-no-scope", "lacks the scope chat:write.*install the app again"),
    ],
)
def test_a_token_that_does_not_work_names_the_fix(bench: Bench, token: str, sentence: str) -> None:
    bench.slack.update(
        tokens={
            "xoxb-no-scope": {"user_id": "U0MONITOR01", "bot_id": "B0MONITOR01", "scopes": ["users:read"]}
        }
    )
    good, bench.slack.token = bench.slack.token, token
    bench.owe(root(), note("other", route="critical"))
    try:
        with pytest.raises(DeliveryError, match=sentence) as caught:
            bench.deliver()
    finally:
        bench.slack.token = good
    assert token not in str(caught.value)
    assert len(bench.slack.calls("chat.postMessage")) == 1, "no use trying the others"
    assert bench.deliver() == 2


def test_a_message_that_fails_holds_up_its_own_thread_only(bench: Bench) -> None:
    bench.owe(root(), root("other root", rule="stale_phases"))
    bench.deliver()
    bench.slack.fail("chat.postMessage", "ok_false", error="some_new_error")
    bench.owe(reply("one"), reply("two"), reply("other", rule="stale_phases"))
    with pytest.raises(DeliveryError, match=r"2 of 3 .*chat_postMessage \(some_new_error\)"):
        bench.deliver()
    assert [text for _, text in bench.said()][2:] == ["other"]
    assert bench.kept() == ["Slack refuses chat_postMessage (some_new_error)", None]
    bench.deliver()
    assert [text for _, text in bench.said()][2:] == ["other", "one", "two"]


def test_a_reply_waits_for_its_root(bench: Bench) -> None:
    bench.slack.fail("chat.postMessage", "ok_false", error="some_new_error")
    bench.owe(root(), reply("reply"))
    with pytest.raises(DeliveryError):
        bench.deliver()
    assert bench.said() == []
    assert bench.deliver() == 2
    assert [text for _, text in bench.said()] == ["root", "reply"]


# --- the root message ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["500", "drop", "accept_then_hang"])
def test_a_root_that_could_not_be_changed_is_changed_later(bench: Bench, kind: str) -> None:
    bench.owe(root(), reply("one", root=payload("changed")))
    bench.slack.fail("chat.update", kind)
    with pytest.raises(DeliveryError):
        bench.deliver()
    assert [text for _, text in bench.said()][1:] == ["one"]
    assert bench.deliver() == 1
    assert [text for _, text in bench.said()] == ["changed", "one"], "and nothing was posted again"


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed"])
def test_a_root_that_cannot_be_changed_is_let_be(bench: Bench, error: str) -> None:
    bench.owe(root(), reply("one", root=payload("changed")))
    bench.slack.fail("chat.update", "ok_false", error=error)
    assert bench.deliver() == 2
    assert [text for _, text in bench.said()] == ["root", "one"]


# --- two at once ------------------------------------------------------------------------------------------------


def test_two_tasks_deliver_each_message_once(bench: Bench) -> None:
    bench.owe(root(), *(note(f"n{number}") for number in range(8)))
    counts: list[int] = []

    def run() -> None:
        with Store(bench.connect) as own:
            counts.append(bench.deliver(own))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 9]
    assert len(bench.slack.messages()) == 9


def test_the_longest_wait_is_what_the_documents_say() -> None:
    assert slack_calls.LONGEST_WAIT == 30
