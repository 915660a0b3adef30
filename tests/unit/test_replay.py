# SPDX-License-Identifier: MIT
"""Replaying stored checks: the same settings give the same alerts, others show what would have been."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from processing_time.escalation import decide
from processing_time.evaluation import judge
from processing_time.ledger import Ledger
from processing_time.model import Alert, AlertState, Decision, Sample, Verdict, Window
from processing_time.replay import judged_again, main, paired, replay, report
from processing_time.rule_tests import overlaid, sends, told
from processing_time.settings import load

START = datetime(2026, 3, 2, 7, tzinfo=UTC)
RATE, SPIKE, ORPHANS = "phase_creation_success_rate", "cache_miss_spike", "orphaned_appointments"
Judged = tuple[datetime, list[Verdict]]


def stored(*rows: tuple[Sample, ...]) -> list[Judged]:
    """Checks an hour apart, judged with the shipped settings."""
    settings = load()
    return [(START + timedelta(hours=n), [judge(s, settings) for s in row]) for n, row in enumerate(rows)]


def rate(good: float) -> Sample:
    return Sample(RATE, Window(START, START), 0, good, good, 100)


def spike(count: int) -> Sample:
    return Sample(SPIKE, Window(START, START), 0, count, count)


def messages(outcome: Iterator[tuple[datetime, list[Decision]]]) -> list[str]:
    return [f"{as_of:%H:%M} {told(d)}" for as_of, decisions in outcome for d in decisions if sends(d)]


def live(checks: Sequence[Judged]) -> Ledger:
    """The alerts that these checks gave when they ran."""
    ledger, settings = Ledger(), load()
    for as_of, verdicts in checks:
        ledger.keep(as_of, verdicts, decide(verdicts, ledger.standing, (), settings, as_of, {}), settings)
    return ledger


DAY = stored(
    *(
        (rate(good), spike(misses))
        for good, misses in zip([94, 94, 80, 99, 99, 99], [50, 150] * 3, strict=True)
    )
)


def test_with_the_same_settings_it_gives_the_same_alerts() -> None:
    was, ledger = live(DAY), Ledger()
    assert messages(replay(DAY, load(), ledger))
    assert ledger.alerts == was.alerts


def test_with_other_settings_it_shows_what_would_have_been() -> None:
    stricter = overlaid(
        {"metrics": {RATE: {"alert": 90, "critical": 70}}, "log_rules": {SPIKE: {"more_than": 200}}}
    )
    assert messages(replay(DAY, stricter, Ledger())) == [
        f"09:00 open {RATE} high level 1",
        f"11:00 resolve {RATE}",
    ]


def test_a_metric_that_the_settings_do_not_have_any_more_is_passed_over() -> None:
    gone = stored((replace(spike(500), metric=SPIKE), rate(94)))
    unknown = [
        (at, [replace(v, sample=replace(v.sample, metric="gone")) for v in verdicts]) for at, verdicts in gone
    ]
    assert messages(replay(unknown, load(), Ledger())) == []


def test_what_kept_a_sample_from_paging_then_still_does() -> None:
    doubtful = replace(judge(rate(50), load()), level_cap=1)
    assert judged_again(doubtful, load()).level_cap == 1
    assert messages(replay([(START, [doubtful])], load(), Ledger())) == [
        f"07:00 open {RATE} critical level 1"
    ]


def test_who_acknowledged_does_so_again() -> None:
    checks = stored(*[(spike(500),)] * 6)
    (was,) = live(checks[:1]).alerts
    acknowledged = replace(was, acknowledged_by="U1", acknowledged_at=START + timedelta(hours=1, seconds=9))
    assert messages(replay(checks, load(), Ledger(), [acknowledged])) == [
        f"07:00 open {SPIKE} medium level 1",
        f"09:00 acknowledge {SPIKE} medium level 1",
    ]


@pytest.mark.parametrize(("hours", "resolved_at"), [(None, None), (2, 9), (4, 11)])
def test_appointments_count_as_dealt_with_when_their_alert_was_resolved(
    hours: int | None, resolved_at: int | None
) -> None:
    orphans = Sample(ORPHANS, Window(START, START), 0, 2, 2, 9, {"ids": [4, 5]})
    checks = stored((orphans,), *[(replace(orphans, value=0, numerator=0, detail={}),)] * 5)
    (alert,) = live(checks[:1]).alerts
    was = replace(alert, resolved_at=START + timedelta(hours=hours) if hours else None)
    ledger = Ledger()
    list(replay(checks, load(), ledger, [was]))
    (again,) = ledger.alerts
    assert (again.resolved_at and again.resolved_at.hour) == resolved_at


def an_alert(rule: str, opened: int, resolved: int | None, level: int = 1) -> Alert:
    (base,) = live(stored((spike(500),))).alerts
    return replace(
        base,
        rule=rule,
        level=level,
        opened_at=START + timedelta(hours=opened),
        resolved_at=START + timedelta(hours=resolved) if resolved else None,
        state=AlertState.RESOLVED if resolved else AlertState.FIRING,
    )


def test_alerts_stand_beside_those_that_were_open_at_the_same_time() -> None:
    first, second, other = an_alert(SPIKE, 0, 2), an_alert(SPIKE, 5, None, 2), an_alert(RATE, 1, 3)
    was_first, was_late = an_alert(SPIKE, 1, 4), an_alert(RATE, 3, 4)
    assert paired([first, second, other], [was_first, was_late]) == [
        (first, was_first),
        (other, None),
        (None, was_late),
        (second, None),
    ]
    lines = report([first, second], [was_first, was_late], ZoneInfo("Europe/Berlin")).splitlines()
    assert [re.split("  +", line) for line in lines] == [
        ["rule", "would be", "was"],
        [
            SPIKE,
            "2026-03-02 08:00 to 03-02 10:00, medium, level 1",
            "2026-03-02 09:00 to 03-02 12:00, medium, level 1",
        ],
        [RATE, "–", "2026-03-02 11:00 to 03-02 12:00, medium, level 1"],
        [SPIKE, "2026-03-02 13:00 to open, medium, level 2", "–"],
    ]
    assert lines[0].index("would be") == lines[1].index("2026") == lines[3].index("2026"), "in columns"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "soon"], "'soon' is not a time"),
        (["--from", "2999-01-01"], "lies in the future"),
    ],
)
def test_a_time_that_cannot_be_used_is_said(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
