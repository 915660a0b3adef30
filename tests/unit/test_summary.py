# SPDX-License-Identifier: MIT
"""What people read of a check: flags, totals, the table, the daily checklist, and when a run turns red."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time.evaluation import judge
from processing_time.model import Loss, Sample, Severity, Verdict, Window
from processing_time.operators.health_check import severe_findings
from processing_time.settings import Settings, load
from processing_time.summary import Answer, Summary, checklist, flag_lines, summarise, table, window_text
from processing_time.timeline import Timeline

BERLIN = ZoneInfo("Europe/Berlin")
FLAGS = {
    "configured": True,
    "enabled": True,
    "service_whitelist": [],
    "company_whitelist": [1, 3],
    "auto_create_phases": False,
}
FACTS: dict[str, dict[str, Any]] = {
    "mysql": {
        "today": {"eligible": 62, "with_phases": 44},
        "sync_today": {"synced": 62, "eligible": 62},
        "traffic": 100,
    },
    "log": {
        "critical_records_today": 0,
        "newest_record": "2026-06-10T17:59:00+00:00",
        "today": {"availability_cache_hit_rate": {"hits": 81, "misses": 19}},
        "sightings": {
            "availability_cache_hit_rate.hit": "2026-06-10T12:00:00+00:00",
            "availability_cache_hit_rate.miss": "2026-06-10T12:00:00+00:00",
        },
    },
    "redis": {"entries": 12},
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load()


def timeline(text: str) -> Timeline:
    as_of = datetime.fromisoformat(text).astimezone(UTC)
    return Timeline(as_of, BERLIN, ZoneInfo("UTC"), as_of - timedelta(hours=1))


EVENING = timeline("2026-06-10T20:00+02:00")


def verdicts(line: Timeline, settings: Settings) -> list[Verdict]:
    windows = line.windows
    samples = [
        Sample("phase_creation_success_rate", windows["today"], 0, 100 * 44 / 62, 44, 62),
        Sample("phase_creation_success_rate", windows["today"], 3, 50, 6, 12),
        Sample("phase_creation_failures", windows["since_last_check"], 0, 7, 9, None, {"last_24h": 18}),
        Sample("calcom_sync_success_rate", windows["7_days"]).lost(Loss.LOST, "no column sync_status"),
    ]
    return [judge(s, settings) for s in samples]


def test_summary_says_what_the_health_check_prints(settings: Settings) -> None:
    line = timeline("2026-06-10T14:00+02:00")
    summary = summarise(verdicts(line, settings), FACTS, FLAGS, settings, line)
    assert summary.lines == [
        "Feature flags: master toggle ENABLED, service whitelist EMPTY, company whitelist 1, 3, auto phases DISABLED",
        "Today: 44 of 62 with phases",
        "Phase creation failures in 24 h: 18",
        "Cached availability entries: 12",
    ]
    assert summary.local_time == "2026-06-10 14:00 Europe/Berlin"
    assert str(summary.state) == "critical"
    assert Summary.from_json(summary.to_json()) == summary


def test_what_was_read_without_a_host_is_at_least_that(settings: Settings) -> None:
    line = timeline("2026-06-10T20:00+02:00")
    facts = {**FACTS, "log": {**FACTS["log"], "missing_hosts": {"web2": "its worker is off"}}}
    summary = summarise(verdicts(line, settings), facts, FLAGS, settings, line)
    assert summary.lines[2] == "Phase creation failures in 24 h: at least 18, without the log of web2"
    assert Summary.from_json(summary.to_json()) == summary
    quiet, cache = summary.checklist[1:3]
    assert (quiet.answer, quiet.counts) == (Answer.UNKNOWN, "not measured, without the log of web2")
    assert (cache.answer, cache.counts) == (Answer.UNKNOWN, "not measured")
    facts["log"]["critical_records_today"] = 2
    loud = summarise(verdicts(line, settings), facts, FLAGS, settings, line).checklist[1]
    assert loud.answer is Answer.NO
    assert loud.counts == "2 records at level CRITICAL or above, without the log of web2"


def test_what_was_not_read_is_not_measured(settings: Settings) -> None:
    line = timeline("2026-06-10T14:00+02:00")
    summary = summarise(verdicts(line, settings), {}, "no such file", settings, line)
    assert summary.lines == [
        "Feature flags: not readable (no such file)",
        "Today: not measured",
        "Phase creation failures in 24 h: not measured",
        "Cached availability entries: not measured",
    ]


def test_table_has_a_row_for_all_companies_only(settings: Settings) -> None:
    line = timeline("2026-06-10T14:00+02:00")
    text = table(summarise(verdicts(line, settings), FACTS, FLAGS, settings, line))
    rows = [part.split("  ")[0] for part in text.splitlines()[8:]]
    assert rows == ["phase_creation_success_rate", "phase_creation_failures", "calcom_sync_success_rate"]
    assert "70.97 %" in text
    assert "critical (critical)" in text
    assert "18 of 62 appointments without phases" in text
    assert "no column sync_status" in text


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ({"configured": False}, ["not configured (every service with processing time counts)"]),
        (
            {**FLAGS, "enabled": False, "service_whitelist": ["7"], "company_whitelist": []},
            [
                "master toggle DISABLED",
                "service whitelist 1 services",
                "company whitelist EMPTY (all allowed)",
                "auto phases DISABLED",
            ],
        ),
    ],
)
def test_flags(flags: dict[str, Any], lines: list[str]) -> None:
    assert flag_lines(flags) == lines


@pytest.mark.parametrize(
    ("as_of", "posted"),
    [
        ("2026-06-10T20:00+02:00", True),
        ("2026-06-10T19:00+02:00", False),
        ("2026-03-29T20:00+02:00", True),
        ("2026-10-25T20:00+01:00", True),
        ("2026-06-10T20:30+02:00", False),
    ],
)
def test_checklist_is_posted_by_the_last_check_of_the_day(
    as_of: str, posted: bool, settings: Settings
) -> None:
    line = timeline(as_of)
    assert bool(summarise([], FACTS, FLAGS, settings, line).checklist) is posted
    off = settings.model_copy(update={"daily_checklist": False})
    assert not summarise([], FACTS, FLAGS, off, line).checklist


def test_checklist_answers_over_the_whole_day(settings: Settings) -> None:
    assert [(line.item, line.answer, line.counts) for line in checklist(FACTS, settings, EVENING)] == [
        ("Phase creation success rate > 99 %", Answer.NO, "70.97 % (44 of 62)"),
        ("No critical errors in the log", Answer.YES, "0 records at level CRITICAL or above"),
        ("Cache hit rate > 80 %", Answer.YES, "81.00 % (81 of 100)"),
        ("Cal.com sync success rate > 99 %", Answer.YES, "100.00 % (62 of 62)"),
    ]


def test_checklist_never_answers_from_nothing(settings: Settings) -> None:
    assert {line.answer for line in checklist({}, settings, EVENING)} == {Answer.UNKNOWN}
    no_hits = {**FACTS, "log": {**FACTS["log"], "sightings": {}}}
    assert checklist(no_hits, settings, EVENING)[2].answer is Answer.UNKNOWN
    nobody = {**FACTS, "mysql": {"today": {"eligible": 0, "with_phases": 0}}}
    assert checklist(nobody, settings, EVENING)[0].counts == "nothing to measure today"


@pytest.mark.parametrize("newest", ["2026-06-09T21:59:59+00:00", None])
def test_a_log_that_has_written_nothing_today_is_no_good_news(newest: str | None, settings: Settings) -> None:
    facts = {**FACTS, "log": {**FACTS["log"], "newest_record": newest}}
    quiet = checklist(facts, settings, EVENING)[1]
    assert (quiet.answer, quiet.counts) == (Answer.UNKNOWN, "the log holds no record of today")
    facts["log"]["newest_record"] = "2026-06-09T22:00:00+00:00"
    assert checklist(facts, settings, EVENING)[1].answer is Answer.YES


@pytest.mark.parametrize("loss", [Loss.LOST, Loss.NEVER])
def test_failures_in_a_log_that_has_gone_silent_are_not_measured(loss: Loss, settings: Settings) -> None:
    sample = Sample("phase_creation_failures", EVENING.windows["since_last_check"], detail={"last_24h": 0})
    silent = [judge(sample.lost(loss, "no log line for two days"), settings)]
    assert summarise(silent, FACTS, FLAGS, settings, EVENING).failures is None


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2026-06-10T00:00+02:00", "2026-06-10T14:00+02:00", "today 00:00–14:00"),
        ("2026-06-10T13:00+02:00", "2026-06-10T14:00+02:00", "13:00 – 14:00"),
        ("2026-06-09T20:00+02:00", "2026-06-10T08:00+02:00", "Tue 09 Jun 20:00 – Wed 10 Jun 08:00"),
        ("2026-10-25T00:00+02:00", "2026-10-25T12:00+01:00", "today 00:00–12:00"),
        ("2026-06-10T14:00+02:00", "2026-06-10T14:00+02:00", "at 14:00"),
    ],
)
def test_windows_in_words(start: str, end: str, text: str) -> None:
    window = Window(*(datetime.fromisoformat(t).astimezone(UTC) for t in (start, end)))
    assert window_text(window, timeline(end)) == text


def test_a_run_is_red_from_high_on(settings: Settings) -> None:
    line = timeline("2026-06-10T14:00+02:00")
    found = verdicts(line, settings)
    high = severe_findings(found, [], Severity.HIGH)
    assert high == ["phase_creation_success_rate (critical)", "phase_creation_failures (high)"]
    assert severe_findings(found, [], Severity.CRITICAL) == ["phase_creation_success_rate (critical)"]
    blind = {"rule": "calcom_sync_success_rate.unknown", "severity": "high", "seen": True}
    assert severe_findings([], [blind], Severity.HIGH) == ["calcom_sync_success_rate.unknown (high)"]
    assert severe_findings([], [{**blind, "seen": False}], Severity.HIGH) == []
    assert severe_findings([], [{**blind, "severity": "medium"}], Severity.HIGH) == []


def test_a_red_run_names_the_worst_of_a_metrics_companies(settings: Settings) -> None:
    window = timeline("2026-06-10T14:00+02:00").windows["today"]
    found = [
        judge(Sample("phase_creation_success_rate", window, company, good, good, 100), settings)
        for company, good in ((0, 85), (3, 60), (4, 94))
    ]
    assert severe_findings(found, [], Severity.HIGH) == ["phase_creation_success_rate (critical)"]
