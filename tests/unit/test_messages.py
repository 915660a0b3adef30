# SPDX-License-Identifier: MIT
"""Messages as people read them: a golden file for each, and what holds for whatever is put into one.

``WRITE_GOLDEN=1 pytest tests/unit/test_messages.py`` writes the files anew: read the difference before you commit it.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.slack.limits import complaints_about_blocks, text_length
from processing_time.evaluation import judge
from processing_time.messages import alerts, blocks
from processing_time.messages.blocks import cut_lines, escape, render
from processing_time.messages.context import Addresses, Context, elapsed
from processing_time.messages.daily import checklist
from processing_time.messages.diagnostics import diagnostics
from processing_time.messages.document import (
    Call,
    Facts,
    Items,
    Links,
    Message,
    Note,
    Paragraph,
)
from processing_time.messages.plan import notifications
from processing_time.model import (
    Action,
    Alert,
    AlertState,
    Decision,
    Loss,
    Sample,
    Severity,
    Verdict,
)
from processing_time.outbox import THREAD_ADDRESS, Notification, Place
from processing_time.settings import Settings
from processing_time.settings import load as load_anew
from processing_time.summary import summarise
from processing_time.timeline import Timeline

SETTINGS = load_anew()
GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).resolve().parents[2]
#: 14:00 in Berlin, and 20:00, when the daily checklist is due.
AS_OF = datetime(2026, 11, 20, 13, tzinfo=UTC)
EVENING = datetime(2026, 11, 20, 19, tzinfo=UTC)
HOUR = timedelta(hours=1)
RATE, ORPHANS, SYNC = "phase_creation_success_rate", "orphaned_appointments", "calcom_sync_success_rate"
FLAGS = {
    "configured": True,
    "enabled": True,
    "service_whitelist": [],
    "company_whitelist": [1, 2],
    "auto_create_phases": True,
}


@functools.cache
def load() -> Settings:
    return load_anew()


def settings_with(**slack: Any) -> Settings:
    settings = load()
    channels = settings.slack.channels.model_copy(
        update={"info": "C0INFO", "medium": "C0MEDIUM", "high": "C0HIGH", "critical": "C0CRITICAL"}
    )
    given = {"channels": channels, "on_call": "<!subteam^S0ONCALL>", **slack}
    escalation = settings.escalation.model_copy(update={"incident_dag": "processing_time_incident"})
    return settings.model_copy(
        update={"slack": settings.slack.model_copy(update=given), "escalation": escalation}
    )


def sample(
    metric: str, value: float, total: float, company: int = 0, at: datetime = AS_OF, **more: Any
) -> Sample:
    windows = timeline(at).windows
    window = windows[getattr(load().rule(metric), "window", "since_last_check")]
    numerator = value * total / 100 if metric in (RATE, SYNC) else value
    return Sample(metric, window, company, value, numerator, total, **more)


def timeline(at: datetime) -> Timeline:
    settings = load()
    return Timeline(at, settings.zone, settings.application_zone, at - HOUR)


def verdicts_at(at: datetime = AS_OF) -> list[Verdict]:
    given = [
        sample(RATE, 70, 60, at=at),
        sample(ORPHANS, 18, 60, at=at, detail={"ids": [*range(101, 119)], "ids_left_out": 4}),
        sample(
            SYNC,
            93,
            1000,
            at=at,
            detail={
                "by_status": {"synced": 930, "error": 60, "pending": 10},
                "by_error_code": {"NULL": 940, "CALCOM_503": 48, "CALCOM_429": 12},
            },
        ),
        sample("availability_cache_hit_rate", 85, 200, at=at, detail={"hits": 170, "misses": 30}),
        sample("cached_availability_entries", 12, 12, at=at, detail={"without_ttl": 1}),
        sample(
            "phase_creation_failures",
            18,
            0,
            at=at,
            detail={"last_24h": 31, "total": 18, "burst_at": "2026-11-20T12:40:00+00:00"},
        ),
    ]
    return [judge(s, load()) for s in given]


def context_at(
    at: datetime = AS_OF, settings: Settings | None = None, more: list[Verdict] | None = None
) -> Context:
    settings = settings or settings_with()
    verdicts = [*verdicts_at(at), *(more or [])]
    facts: dict[str, Any] = {
        "mysql": {
            "today": {"eligible": 60, "with_phases": 42},
            "sync_today": {"synced": 99, "eligible": 100},
        },
        "log": {
            "today": {"availability_cache_hit_rate": {"hits": 170, "misses": 30}},
            "critical_records_today": 2,
            "sightings": dict.fromkeys(
                ("availability_cache_hit_rate.hit", "availability_cache_hit_rate.miss"), at.isoformat()
            ),
        },
        "redis": {"entries": 12},
    }
    return Context(
        settings,
        at,
        summarise(verdicts, facts, FLAGS, settings, timeline(at)),
        {(v.metric, v.company_id): v for v in verdicts},
        Addresses(
            run="https://airflow.example/dags/processing_time_health_check/runs/scheduled__1",
            incident="https://airflow.example/dags/processing_time_incident",
        ),
        {"U0ANNA": "Anna Krüger"},
    )


def alert(rule: str = RATE, company: int = 0, **more: Any) -> Alert:
    times = dict.fromkeys(("opened_at", "last_seen_at", "last_counted_at", "last_told_at"), AS_OF)
    given = {"severity": Severity.CRITICAL, "level": 2, "state": AlertState.FIRING, **times}
    return Alert(rule, company, **{**given, **more})


def decided(
    action: Action,
    after: Alert,
    before: Alert | None = None,
    reason: str = "18 of 60 appointments without phases",
    **more: Any,
) -> Decision:
    at = more.pop("at", AS_OF)
    verdict = more.pop("verdict", next((v for v in verdicts_at(at) if v.metric == after.rule), None))
    return Decision(action, after.rule, after.company_id, reason, before, after, verdict, **more)


def firing_since(hours: int, **more: Any) -> Alert:
    return alert(opened_at=AS_OF - hours * HOUR, **more)


def opened() -> Message:
    return alerts.root(decided(Action.OPEN, alert(), mention=True), context_at(), call=True)


def opened_without_on_call() -> Message:
    context = context_at(settings=settings_with(on_call=None))
    return alerts.root(
        decided(Action.OPEN, alert(ORPHANS, severity=Severity.INFO, level=1)), context, call=True
    )


def blind() -> Message:
    lost = sample(RATE, 0, 0).lost(
        Loss.SOURCE, "the server does not answer: check the connection processing_time_mysql"
    )
    decision = decided(
        Action.OPEN,
        alert("source.mysql.unknown", severity=Severity.MEDIUM, level=1),
        reason="the server does not answer: check the connection processing_time_mysql",
        verdict=judge(lost, load()),
        hides=(RATE, SYNC, ORPHANS),
    )
    return alerts.root(decision, context_at())


def storm() -> Message:
    more, members = storm_of(300)
    return alerts.shared_root(
        decided(Action.OPEN, members[0], companies=tuple(a.company_id for a in members[1:])),
        members,
        context_at(more=more),
        call=True,
    )


def storm_of(companies: int) -> tuple[list[Verdict], list[Alert]]:
    singles = range(1, companies + 1)
    verdicts = [judge(sample(RATE, 60, 20, company), load()) for company in singles]
    return verdicts, [alert(), *(alert(company=company, thread_company=0) for company in singles)]


def risen_in_level() -> Message:
    decision = decided(
        Action.ESCALATE,
        firing_since(1, severity=Severity.HIGH, rule=SYNC),
        firing_since(1, severity=Severity.HIGH, rule=SYNC, level=1),
        "still firing and not acknowledged",
    )
    return alerts.escalated(decision, context_at(), call=True)


def risen_in_severity() -> Message:
    before = firing_since(3, severity=Severity.HIGH, level=1)
    decision = decided(Action.ESCALATE, firing_since(3), before, "severity rose from high to critical")
    return alerts.escalated(decision, context_at())


def moved() -> Message:
    before = firing_since(3, severity=Severity.HIGH, level=1)
    decision = decided(Action.ESCALATE, firing_since(3), before, "severity rose from high to critical")
    return alerts.moved(decision, context_at(), THREAD_ADDRESS, call=True)


def toggle_proposed() -> Message:
    reason = "still critical 2 checks later: disabling the feature is proposed"
    decision = decided(Action.ESCALATE, firing_since(2, level=3), firing_since(2), reason, toggle=True)
    return alerts.escalated(decision, context_at(), call=True)


def reminder() -> Message:
    return alerts.reminder(
        decided(Action.REMIND, firing_since(28), firing_since(28), "still firing"), context_at()
    )


def acknowledged() -> Message:
    after = firing_since(
        2,
        state=AlertState.ACKNOWLEDGED,
        acknowledged_by="U0ANNA",
        acknowledged_at=AS_OF,
        acknowledged_until=AS_OF + 4 * HOUR,
    )
    return alerts.acknowledged(decided(Action.ACKNOWLEDGE, after, firing_since(2)), context_at())


def acknowledged_root() -> Message:
    after = firing_since(2, state=AlertState.ACKNOWLEDGED, acknowledged_by="U0ANNA")
    return alerts.root(
        decided(Action.ACKNOWLEDGE, after, firing_since(2), "acknowledged by U0ANNA"), context_at()
    )


def resolved() -> Message:
    return alerts.resolved(over(), context_at())


def resolved_root() -> Message:
    return alerts.root(over(), context_at())


def over() -> Decision:
    good = judge(sample(RATE, 100, 80), load())
    after = firing_since(5, state=AlertState.RESOLVED, resolved_at=AS_OF)
    return decided(Action.RESOLVE, after, firing_since(5), "clear for 2 checks", verdict=good)


def snapshot() -> Message:
    return diagnostics(context_at())


def daily() -> Message:
    return checklist(context_at(EVENING))


def hostile() -> Message:
    settings = settings_with()
    title = "<!channel> & <b> *bold* _it_ `code` :eyes:\n> quote <https://evil.example|x>"
    metric = settings.metrics[RATE].model_copy(update={"title": title, "action": title})
    settings = settings.model_copy(update={"metrics": {**settings.metrics, RATE: metric}})
    return alerts.root(decided(Action.OPEN, alert(), reason=title), context_at(settings=settings))


@pytest.mark.parametrize(
    "make",
    [
        opened,
        opened_without_on_call,
        blind,
        storm,
        risen_in_level,
        risen_in_severity,
        moved,
        toggle_proposed,
        reminder,
        acknowledged,
        acknowledged_root,
        resolved,
        resolved_root,
        snapshot,
        daily,
        hostile,
    ],
)
def test_golden(make: Callable[[], Message]) -> None:
    rendered = render(make(), SETTINGS)
    assert complaints_about_blocks(rendered["blocks"]) == []
    file = GOLDEN / f"{make.__name__}.json"
    text = json.dumps(rendered, ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    makers = next(m for m in test_golden.pytestmark if m.name == "parametrize").args[1]
    assert {f.stem for f in GOLDEN.glob("*.json")} == {make.__name__ for make in makers}


# --- what holds for every message -----------------------------------------------------------------------------

short = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("<>&*_~`:@#!|aé🚨 \n", max_size=40)
anything = st.builds(lambda text, times: text * times, short, st.sampled_from([1, 1, 1, 10, 200]))
several = st.builds(
    lambda lines, times: tuple(lines * times), st.lists(anything, max_size=4), st.sampled_from([1, 30])
)
addresses = st.sampled_from(["https://x.example/a?b=1&c=<2>|3", "https://x.example/" + "a" * 4000])
parts = st.one_of(
    st.builds(Paragraph, anything, short),
    st.builds(Facts, st.dictionaries(short, anything, max_size=13)),
    st.builds(Items, short, several, st.just("things")),
    st.builds(Call, st.just("<!subteam^S1>"), anything),
    st.builds(Links, st.dictionaries(short, addresses, max_size=4)),
    st.builds(Note, several),
)
several_parts = st.builds(
    lambda some, times: tuple(some * times), st.lists(parts, max_size=5), st.sampled_from([1, 1, 30])
)
messages = st.builds(Message, anything, several_parts)


@hypothesis.settings(max_examples=60)
@given(messages)
def test_whatever_is_in_it_fits_slack(message: Message) -> None:
    rendered = render(message, SETTINGS)
    assert complaints_about_blocks(rendered["blocks"]) == []
    assert text_length(rendered["blocks"]) <= 10_000
    assert len(rendered["text"]) <= 3_500


@hypothesis.settings(max_examples=60)
@given(messages)
def test_whatever_is_in_it_stays_text(message: Message) -> None:
    rendered = render(message, SETTINGS)
    ours = re.compile(r"<!subteam\^S1>|<https://x\.example/[^<>|]*\|[^<>|]*>")
    for text in (rendered["text"], *texts(rendered["blocks"])):
        assert not re.search("[<>]", ours.sub("", text)), "a mention, a link or a tag came through"
        assert not re.search("&(?!amp;|lt;|gt;)", text), "an entity was cut, or & not escaped"


def texts(node: Any) -> list[str]:
    if isinstance(node, Mapping):
        return [v if k == "text" and isinstance(v, str) else "" for k, v in node.items()] + [
            t for v in node.values() for t in texts(v)
        ]
    return [t for v in node for t in texts(v)] if isinstance(node, list) else []


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ("<!channel> & <b>", "&lt;!channel&gt; &amp; &lt;b&gt;"),
        ("*bold* _it_ ~no~ `code`", "∗bold∗ ˍitˍ ∼no∼ ˋcodeˋ"),
        ("snake_case_name 2*3 a~b", "snake_case_name 2*3 a~b"),
        (":eyes: at 10:30:15", "∶eyes∶ at 10:30:15"),
        ("> 5 in 1 h", "\u200b&gt; 5 in 1 h"),
        ("a\x00b\u202ec", "abc"),
    ],
)
def test_escape(given: str, arrives: str) -> None:
    assert escape(given) == arrives


@pytest.mark.parametrize(
    ("lines", "room", "expected"),
    [
        (["a", "b"], 3, "a\nb"),
        (["a" * 30, "b" * 30, "c" * 30], 70, "a" * 30 + "\n… 2 more rows left out"),
        (["a" * 50], 10, "a" * 9 + "…"),
        (["aaaa&amp;bbbbbbbbbb"], 8, "aaaa…"),
        ([], 5, ""),
    ],
)
def test_cut_at_line_ends(lines: list[str], room: int, expected: str) -> None:
    assert cut_lines(lines, room, "rows") == expected


def test_a_storm_says_what_was_left_out() -> None:
    (companies,) = [
        t for t in texts(render(storm(), SETTINGS)["blocks"]) if "300 companies" in t and "company 1:" in t
    ]
    shown = companies.count("• company")
    assert f"… {300 - shown} more companies left out" in companies
    assert len(companies) <= 3_000


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(days=2, hours=4, minutes=9), "2 d 4 h"),
        (timedelta(hours=1), "1 h"),
        (timedelta(seconds=20), "20 s"),
    ],
)
def test_elapsed(length: timedelta, words: str) -> None:
    assert elapsed(length) == words


@pytest.mark.parametrize(
    "rule",
    [
        *load().metrics,
        *load().log_rules,
        "source.mysql.unknown",
        "source.log.unknown",
        "source.redis.unknown",
        f"{RATE}.unknown",
    ],
)
def test_every_rule_has_its_section_in_the_runbook(rule: str) -> None:
    titles = re.findall(
        r"^#+ (.+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert context_at().runbook(rule).partition("#")[2] in anchors


# --- which messages go where ------------------------------------------------------------------------------------


def planned(
    *decisions: Decision, open_alerts: tuple[Alert, ...] = (), context: Context | None = None
) -> list[Notification]:
    return notifications(decisions, open_alerts, context or context_at())


def shape(owed: list[Notification]) -> list[tuple[str, str, str]]:
    return [(n.kind, str(n.place), n.route) for n in owed]


def test_diagnostics_give_no_count_of_lines_that_the_log_has_never_held() -> None:
    detail = {"hits": 0, "misses": 30}
    given = sample("availability_cache_hit_rate", 0, 30, detail=detail)
    for loss in (Loss.NEVER, Loss.LOST):
        unknown = judge(given.lost(loss, "the log has never held a line for a hit"), load())
        text = render(diagnostics(context_at(more=[unknown])), settings_with())["text"]
        assert "the log has never held a line for a hit" in text
        assert "0 hits" not in text
    text = render(diagnostics(context_at(more=[judge(given, load())])), settings_with())["text"]
    assert "0 hits, 30 requests to Cal.com" in text


def test_an_opening_is_a_root_and_its_diagnostics_a_reply() -> None:
    owed = planned(decided(Action.OPEN, alert(), mention=True, diagnose=True))
    assert shape(owed) == [("opened", "root", "critical"), ("diagnostics", "thread", "critical")]
    assert "<!subteam^S0ONCALL>" in owed[0].payload["text"]
    assert owed[0].alert == owed[1].alert == (RATE, 0)


@pytest.mark.parametrize(("threads", "snapshots"), [(1, 1), (2, 2), (3, 1), (7, 1)])
def test_many_threads_share_a_snapshot(threads: int, snapshots: int) -> None:
    rules = list(load().metrics)[:threads]
    owed = planned(*(decided(Action.OPEN, alert(rule), diagnose=True) for rule in rules))
    found = [n for n in owed if n.kind == "diagnostics"]
    assert len(found) == snapshots
    assert found[0].alert == (rules[0], 0)


def test_a_rise_is_broadcast_and_the_worse_channel_called_once() -> None:
    before = firing_since(3, severity=Severity.HIGH, level=1, slack_channel="C0HIGH", slack_ts="1.1")
    after = replace(before, severity=Severity.CRITICAL, level=2)
    owed = planned(decided(Action.ESCALATE, after, before, mention=True, moved=True, diagnose=True))
    assert shape(owed) == [
        ("escalated", "broadcast", "critical"),
        ("moved", "channel", "critical"),
        ("diagnostics", "thread", "critical"),
    ]
    assert ["<!subteam^" in n.payload["text"] for n in owed] == [False, True, False]
    assert THREAD_ADDRESS in json.dumps(owed[1].payload)
    assert owed[0].root is not None
    assert "CRITICAL" in owed[0].root["text"]


def test_a_rise_in_the_same_channel_has_no_second_message() -> None:
    before = firing_since(3, severity=Severity.HIGH, level=1, slack_channel="C0CRITICAL", slack_ts="1.1")
    owed = planned(
        decided(
            Action.ESCALATE, replace(before, severity=Severity.CRITICAL), before, mention=True, moved=True
        )
    )
    assert shape(owed) == [("escalated", "broadcast", "critical")]
    assert "<!subteam^" in owed[0].payload["text"]


@pytest.mark.parametrize(
    ("action", "kind"),
    [(Action.REMIND, "reminder"), (Action.ACKNOWLEDGE, "acknowledged"), (Action.RESOLVE, "resolved")],
)
def test_a_change_is_a_reply_with_the_root_changed(action: Action, kind: str) -> None:
    (owed,) = planned(decided(action, firing_since(2), firing_since(2)))
    assert (owed.kind, owed.place) == (kind, Place.THREAD)
    assert owed.root is not None


def test_nothing_says_nothing() -> None:
    assert planned(decided(Action.NOTHING, alert(), alert()), Decision(Action.NOTHING, RATE, 0, "fine")) == []


def test_the_same_check_gives_the_same_keys_and_another_check_others() -> None:
    decision = decided(Action.REMIND, firing_since(5), firing_since(5))
    first, again = planned(decision), planned(decision)
    later = planned(decision, context=context_at(AS_OF + HOUR))
    assert first[0].dedupe_key == again[0].dedupe_key != later[0].dedupe_key
    assert len(first[0].dedupe_key) <= 190


def test_two_rises_at_one_check_are_two_messages() -> None:
    keys = {
        planned(decided(Action.ESCALATE, firing_since(1, level=level), firing_since(1)))[0].dedupe_key
        for level in (2, 3)
    }
    assert len(keys) == 2


def test_a_storm_is_one_message_and_leaves_with_one() -> None:
    verdicts, members = storm_of(300)
    companies = tuple(range(1, 301))
    opening = [
        decided(Action.OPEN, members[0], mention=True, companies=companies),
        *(decided(Action.OPEN, a, grouped=True) for a in members[1:]),
    ]
    assert shape(planned(*opening)) == [("opened", "root", "critical")]
    gone = [replace(a, state=AlertState.RESOLVED, resolved_at=AS_OF) for a in members]
    closing = [
        decided(Action.RESOLVE, gone[0], members[0], companies=companies),
        *(decided(Action.RESOLVE, a, b, grouped=True) for a, b in zip(gone[1:], members[1:], strict=True)),
    ]
    (owed,) = planned(*closing, open_alerts=tuple(members), context=context_at(more=verdicts))
    assert owed.root is not None
    assert "Resolved" in owed.root["text"]


def test_a_storm_that_goes_bit_by_bit_keeps_its_root_burning() -> None:
    verdicts, members = storm_of(8)
    gone = [replace(a, state=AlertState.RESOLVED, resolved_at=AS_OF) for a in members[:3]]
    closing = [decided(Action.RESOLVE, a, b) for a, b in zip(gone, members[:3], strict=True)]
    owed = planned(*closing, open_alerts=tuple(members), context=context_at(more=verdicts))
    assert [n.kind for n in owed] == ["resolved"] * 3
    assert "company 1 resolved" in owed[1].payload["text"]
    for notification in owed:
        assert notification.root is not None
        assert "CRITICAL · Phase creation success rate: 6 companies" in notification.root["text"]


def test_a_group_of_alerts_with_threads_of_their_own_changes_each_root() -> None:
    members = [alert(company=company, opened_at=AS_OF - company * HOUR) for company in range(1, 8)]
    gone = [replace(a, state=AlertState.RESOLVED, resolved_at=AS_OF) for a in members]
    closing = [decided(Action.RESOLVE, gone[0], members[0], companies=tuple(range(1, 8)))]
    closing += [
        decided(Action.RESOLVE, a, b, grouped=True) for a, b in zip(gone[1:], members[1:], strict=True)
    ]
    owed = planned(*closing, open_alerts=tuple(members))
    assert shape(owed) == [("resolved", "thread", "critical"), *[("quietly", "root_only", "critical")] * 6]
    assert all("Resolved" in n.payload["text"] for n in owed)


def test_the_checklist_goes_to_the_reports_once_a_day() -> None:
    (owed,) = planned(context=context_at(EVENING))
    assert (owed.kind, owed.route, owed.dedupe_key) == ("checklist", "reports", "checklist/2026-11-20")
    assert planned() == []


def test_a_message_holds_no_more_than_slack_takes() -> None:
    assert blocks.MAX_ALL < 13_000
    assert blocks.MAX_TEXT < 4_000
