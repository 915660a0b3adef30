# SPDX-License-Identifier: MIT
"""Every state of every metric and rule: at, just under and just over each bound; and what cannot be believed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time.evaluation import (
    Memory,
    believable,
    check_state,
    evaluate,
    glob_sighting,
    judge,
    threshold_text,
)
from processing_time.model import Collected, Loss, Sample, Severity, State, Verdict, Window
from processing_time.settings import Settings, load
from processing_time.summary import value_text
from processing_time.timeline import Timeline

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOUR = Window(AS_OF - timedelta(hours=1), AS_OF)
TIMELINE = Timeline(AS_OF, ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), HOUR.start)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load()


def rate(metric: str, good: float, total: float) -> Sample:
    return Sample(metric, HOUR, 0, 100 * good / total if total else None, good, total)


def mean(value: float, count: int) -> Sample:
    return Sample("phase_creation_time", HOUR, 0, value, value * count, count)


def count(metric: str, value: float, population: float | None) -> Sample:
    return Sample(metric, HOUR, 0, value, value, population)


def rule(metric: str, largest: int) -> Sample:
    return Sample(metric, HOUR, 0, largest, largest, None)


SUCCESS, SYNC, CACHE = (
    "phase_creation_success_rate",
    "calcom_sync_success_rate",
    "availability_cache_hit_rate",
)


@pytest.mark.parametrize(
    ("sample", "state", "severity"),
    [
        # target > 99, alert < 95, critical < 90, from 11 appointments on
        (rate(SUCCESS, 1000, 1000), "ok", None),
        (rate(SUCCESS, 9901, 10000), "ok", None),
        (rate(SUCCESS, 99, 100), "degraded", None),
        (rate(SUCCESS, 98999, 100000), "degraded", None),
        (rate(SUCCESS, 95, 100), "degraded", None),
        (rate(SUCCESS, 94999, 100000), "alert", "high"),
        (rate(SUCCESS, 90, 100), "alert", "high"),
        (rate(SUCCESS, 89999, 100000), "critical", "critical"),
        (rate(SUCCESS, 0, 11), "critical", "critical"),
        (rate(SUCCESS, 0, 10), "insufficient_data", None),
        (rate(SUCCESS, 0, 0), "insufficient_data", None),
        # the same bounds over 7 days, from 10 on
        (rate(SYNC, 9901, 10000), "ok", None),
        (rate(SYNC, 99, 100), "degraded", None),
        (rate(SYNC, 95, 100), "degraded", None),
        (rate(SYNC, 94, 100), "alert", "high"),
        (rate(SYNC, 90, 100), "alert", "high"),
        (rate(SYNC, 89, 100), "critical", "critical"),
        (rate(SYNC, 0, 10), "critical", "critical"),
        (rate(SYNC, 0, 9), "insufficient_data", None),
        # target > 80, alert < 60, critical < 40, from 20 on
        (rate(CACHE, 801, 1000), "ok", None),
        (rate(CACHE, 80, 100), "degraded", None),
        (rate(CACHE, 60, 100), "degraded", None),
        (rate(CACHE, 599, 1000), "alert", "high"),
        (rate(CACHE, 40, 100), "alert", "high"),
        (rate(CACHE, 399, 1000), "critical", "critical"),
        (rate(CACHE, 1, 19), "insufficient_data", None),
        (rate(CACHE, 1, 20), "critical", "critical"),
        # target < 50 ms, alert > 200, critical > 500, from 10 records on
        (mean(49.99, 10), "ok", None),
        (mean(50, 10), "degraded", None),
        (mean(200, 10), "degraded", None),
        (mean(200.01, 10), "alert", "high"),
        (mean(500, 10), "alert", "high"),
        (mean(500.01, 10), "critical", "critical"),
        (mean(900, 9), "insufficient_data", None),
        # at most 20 % off, from 10 appointments with phases on
        (count("phase_distribution", 0, 10), "ok", None),
        (count("phase_distribution", 20, 10), "ok", None),
        (count("phase_distribution", 20.01, 10), "alert", "high"),
        (count("phase_distribution", 100, 9), "insufficient_data", None),
        # more than none, from 10 appointments with a processing phase on
        (count("overlapping_bookings", 1, 10), "ok", None),
        (count("overlapping_bookings", 0, 10), "degraded", None),
        (count("overlapping_bookings", 0, 9), "insufficient_data", None),
        # none; HIGH from 3 on when they are more than half
        (count("orphaned_appointments", 0, 1), "ok", None),
        (count("orphaned_appointments", 0, 0), "insufficient_data", None),
        (count("orphaned_appointments", 1, 1), "alert", "info"),
        (count("orphaned_appointments", 2, 2), "alert", "info"),
        (count("orphaned_appointments", 3, 6), "alert", "info"),
        (count("orphaned_appointments", 3, 5), "alert", "high"),
        (count("orphaned_appointments", 400, 900), "alert", "info"),
        (count("stale_phases", 0, 1), "ok", None),
        (count("stale_phases", 1, 1), "alert", "info"),
        (count("stale_phases", 0, 0), "insufficient_data", None),
        (count("cached_availability_entries", 12, None), "ok", None),
        (count("cached_availability_entries", 0, None), "insufficient_data", None),
        # log rules: strictly more than
        (rule("phase_creation_failures", 0), "ok", None),
        (rule("phase_creation_failures", 5), "ok", None),
        (rule("phase_creation_failures", 6), "alert", "high"),
        (rule("observer_disabled", 0), "ok", None),
        (rule("observer_disabled", 1), "alert", "info"),
        (rule("cache_miss_spike", 100), "ok", None),
        (rule("cache_miss_spike", 101), "alert", "medium"),
        (rule("calcom_sync_failures", 10), "ok", None),
        (rule("calcom_sync_failures", 11), "alert", "high"),
    ],
    ids=lambda x: f"{x.metric}={x.value}/{x.denominator}" if isinstance(x, Sample) else str(x),
)
def test_bounds(sample: Sample, state: str, severity: str | None, settings: Settings) -> None:
    verdict = judge(sample, settings)
    assert (verdict.state, verdict.severity) == (State(state), Severity(severity) if severity else None)
    assert verdict.sample.value == sample.value
    assert verdict.sample.detail["threshold"] == verdict.threshold


@pytest.mark.parametrize("key", [*load().metrics, *load().log_rules])
def test_what_is_lost_is_unknown_whatever_it_is(key: str, settings: Settings) -> None:
    verdict = judge(Sample(key, HOUR).lost(Loss.LOST, "no column"), settings)
    assert (verdict.state, verdict.reason, verdict.sample.value) == (State.UNKNOWN, "no column", None)


@pytest.mark.parametrize(
    ("sample", "sure"),
    [
        (rate(SUCCESS, 10, 11), False),  # 1 of 11: past the threshold, and an accident as likely as not
        (rate(SUCCESS, 28, 30), False),
        (rate(SUCCESS, 27, 30), True),  # three failures past the plain threshold
        (rate(SUCCESS, 44, 62), True),
        (rate(CACHE, 5, 20), True),
        (count("orphaned_appointments", 3, 5), True),
        (mean(700, 10), True),
    ],
)
def test_certainty(sample: Sample, sure: bool, settings: Settings) -> None:
    assert judge(sample, settings).certain is sure


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (SUCCESS, "< 95 % (critical < 90 %)"),
        ("phase_creation_time", "> 200 ms (critical > 500 ms)"),
        ("phase_distribution", "> 20 %"),
        ("overlapping_bookings", "target > 0"),
        ("orphaned_appointments", "> 0 (high: 3 or more and above 50 %)"),
        ("cached_availability_entries", "none"),
        ("phase_creation_failures", "> 5 in 1 h"),
        ("observer_disabled", "> 0"),
        ("cache_miss_spike", "> 100 in 5 min"),
    ],
)
def test_thresholds_in_words(key: str, text: str, settings: Settings) -> None:
    assert threshold_text(settings.rule(key)) == text


def test_reason_says_the_counts_plainly(settings: Settings) -> None:
    assert judge(rate(SUCCESS, 10, 11), settings).reason == "1 of 11 appointments without phases"
    assert judge(rate(SUCCESS, 5, 7), settings).reason == "7 appointments, fewer than 11"


def test_large_counts_have_all_their_digits(settings: Settings) -> None:
    few = judge(rate(SUCCESS, 1_000_001, 2_345_678), settings)
    assert few.reason == "1345677 of 2345678 appointments without phases"
    keys = judge(count("cached_availability_entries", 1_234_567, None), settings)
    assert value_text(keys, settings).startswith("1234567")


# --- the whole check ----------------------------------------------------------------------------------------


def sightings(**seen: datetime) -> dict[str, str]:
    return {name.replace("__", "."): at.isoformat() for name, at in seen.items()}


def check(
    settings: Settings,
    log: list[Sample] | str = "",
    *,
    mysql: list[Sample] | str = "",
    redis: list[Sample] | str = "",
    seen: Mapping[str, str] | None = None,
    traffic: int | None = 40,
    memory: Memory | None = None,
    flags: Mapping[str, Any] | None = None,
    present: datetime = AS_OF,
) -> dict[str, Verdict]:
    def given(samples: list[Sample] | str, facts: dict[str, Any]) -> Collected | str:
        return samples if isinstance(samples, str) else Collected(tuple(samples), facts)

    collected = {
        "mysql": given(mysql or [rate(SUCCESS, 40, 40)], {"traffic": traffic} if traffic is not None else {}),
        "log": given(log or [rule("phase_creation_failures", 0)], {"sightings": seen or {}}),
        "redis": given(redis or [count("cached_availability_entries", 3, None)], {}),
    }
    verdicts = evaluate(
        collected, flags or {"configured": False}, memory or Memory(), settings, TIMELINE, present
    )
    return {v.metric: v for v in verdicts if v.company_id == 0}


def test_every_enabled_metric_and_rule_has_a_verdict(settings: Settings) -> None:
    assert list(check(settings)) == [k for s in ("mysql", "log", "redis") for k in settings.enabled(s)]


def test_a_source_that_fails_costs_its_own_metrics_only(settings: Settings) -> None:
    verdicts = check(settings, mysql="processing_time_mysql refused the connection", seen=sightings())
    for key in settings.enabled("mysql"):
        assert verdicts[key].state is State.UNKNOWN
        assert verdicts[key].sample.loss is Loss.SOURCE
        assert verdicts[key].reason == "processing_time_mysql refused the connection"
    assert verdicts["cached_availability_entries"].state is State.OK


def test_a_disabled_rule_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_TIME__METRICS__STALE_PHASES__ENABLED", "false")
    assert "stale_phases" not in check(load())


FRESH, STALE = AS_OF - timedelta(hours=3), AS_OF - timedelta(days=2, seconds=1)


@pytest.mark.parametrize(
    ("now", "remembered", "traffic", "state", "loss"),
    [
        (FRESH, None, 40, "ok", None),
        (None, FRESH, 40, "ok", None),
        (None, AS_OF - timedelta(days=2), 40, "ok", None),
        (None, STALE, 40, "unknown", Loss.LOST),
        (STALE, None, 40, "unknown", Loss.LOST),
        (None, None, 40, "unknown", Loss.NEVER),
        (None, STALE, 0, "ok", None),
        (None, None, 0, "ok", None),
        (None, STALE, None, "unknown", Loss.LOST),
    ],
    ids=[
        "seen in this reading",
        "seen by an earlier check",
        "exactly silent_after ago",
        "silent for longer",
        "read, but too old",
        "never seen",
        "silent, and no appointments",
        "never, and no appointments",
        "silent, and nobody knows of appointments",
    ],
)
def test_silence_is_good_news_only_while_the_source_speaks(
    now: datetime | None,
    remembered: datetime | None,
    traffic: int | None,
    state: str,
    loss: Loss | None,
    settings: Settings,
) -> None:
    name = "phase_creation_failures.alive"
    verdict = check(
        settings,
        [rule("phase_creation_failures", 0)],
        seen={name: now.isoformat()} if now else {},
        memory=Memory(sightings={name: remembered} if remembered else {}),
        traffic=traffic,
    )["phase_creation_failures"]
    assert (verdict.state, verdict.sample.loss) == (State(state), loss)


def test_what_fires_fires_whatever_else_was_silent(settings: Settings) -> None:
    assert (
        check(settings, [rule("phase_creation_failures", 6)])["phase_creation_failures"].state is State.ALERT
    )


@pytest.mark.parametrize(
    ("hits", "misses", "hit_seen", "miss_seen", "state", "loss"),
    [
        (80, 20, FRESH, FRESH, "degraded", None),
        (0, 50, None, FRESH, "unknown", Loss.NEVER),
        (0, 50, FRESH, FRESH, "critical", None),
        (0, 50, STALE, FRESH, "unknown", Loss.LOST),
        (50, 0, FRESH, None, "unknown", Loss.NEVER),
        (50, 0, FRESH, FRESH, "ok", None),
        (50, 0, FRESH, STALE, "unknown", Loss.LOST),
        (0, 0, FRESH, FRESH, "insufficient_data", None),
        (0, 3, None, FRESH, "unknown", Loss.NEVER),
    ],
)
def test_a_rate_does_not_come_out_of_a_missing_counterpart(
    hits: int,
    misses: int,
    hit_seen: datetime | None,
    miss_seen: datetime | None,
    state: str,
    loss: Loss | None,
    settings: Settings,
) -> None:
    total = hits + misses
    sample = Sample(
        CACHE, HOUR, 0, 100 * hits / total if total else None, hits, total, {"hits": hits, "misses": misses}
    )
    seen = {f"{CACHE}.alive": AS_OF.isoformat()}
    seen |= {f"{CACHE}.hit": hit_seen.isoformat()} if hit_seen else {}
    seen |= {f"{CACHE}.miss": miss_seen.isoformat()} if miss_seen else {}
    verdict = check(settings, [sample], seen=seen)[CACHE]
    assert (verdict.state, verdict.sample.loss) == (State(state), loss)
    assert verdict.level_cap == (1 if loss is Loss.NEVER else 3)


@pytest.mark.parametrize(
    ("records", "numbers", "record_seen", "value_seen", "state", "loss"),
    [
        (20, 20, FRESH, FRESH, "ok", None),
        (20, 0, FRESH, None, "unknown", Loss.NEVER),
        (0, 0, FRESH, None, "unknown", Loss.NEVER),
        (20, 0, FRESH, STALE, "unknown", Loss.LOST),
        (0, 0, FRESH, FRESH, "insufficient_data", None),
        (0, 0, None, None, "insufficient_data", None),
    ],
)
def test_lines_without_a_number(
    records: int,
    numbers: int,
    record_seen: datetime | None,
    value_seen: datetime | None,
    state: str,
    loss: Loss | None,
    settings: Settings,
) -> None:
    key = "phase_creation_time"
    sample = Sample(key, HOUR, 0, 30 if numbers else None, 30 * numbers, numbers, {"records": records})
    seen = {f"{key}.alive": AS_OF.isoformat()}
    seen |= {f"{key}.record": record_seen.isoformat()} if record_seen else {}
    seen |= {f"{key}.value": value_seen.isoformat()} if value_seen else {}
    verdict = check(settings, [sample], seen=seen)[key]
    assert (verdict.state, verdict.sample.loss) == (State(state), loss)


@pytest.mark.parametrize(
    ("keys", "hit_seen", "measured", "state", "loss"),
    [
        (3, None, False, "ok", None),
        (0, None, False, "insufficient_data", None),
        (0, AS_OF - timedelta(minutes=40), False, "unknown", Loss.NEVER),
        (0, AS_OF - timedelta(minutes=40), True, "insufficient_data", None),
        (0, AS_OF - timedelta(minutes=4), True, "unknown", Loss.LOST),
        (0, AS_OF - timedelta(hours=2), False, "insufficient_data", None),
    ],
)
def test_no_key_while_the_log_shows_hits(
    keys: int, hit_seen: datetime | None, measured: bool, state: str, loss: Loss | None, settings: Settings
) -> None:
    key = "cached_availability_entries"
    verdict = check(
        settings,
        redis=[count(key, keys, None)],
        seen={f"{CACHE}.hit": hit_seen.isoformat()} if hit_seen else {},
        memory=Memory(measured=frozenset({key} if measured else ())),
    )[key]
    assert (verdict.state, verdict.sample.loss) == (State(state), loss)


def test_a_column_that_was_never_there_is_said_once_a_lost_one_escalates(settings: Settings) -> None:
    gone = [Sample(SYNC, HOUR).lost(Loss.LOST, "appointments has no column sync_status")]
    assert check(settings, mysql=gone)[SYNC].sample.loss is Loss.NEVER
    before = Memory(measured=frozenset({SYNC}))
    assert check(settings, mysql=gone, memory=before)[SYNC].sample.loss is Loss.LOST


ON = {"configured": True, "enabled": True, "company_whitelist": [1]}
ALL = {"configured": True, "enabled": True, "company_whitelist": []}


@pytest.mark.parametrize(
    ("history", "flags", "present", "doubt"),
    [
        ([], ON, AS_OF, ""),
        ([(AS_OF - timedelta(hours=2), ON)], ON, AS_OF, ""),
        ([(AS_OF - timedelta(hours=2), ALL)], ON, AS_OF, "changed in this window"),
        ([(AS_OF - timedelta(minutes=30), ALL)], ON, AS_OF, "changed in this window"),
        ([(AS_OF - timedelta(hours=3), ALL), (AS_OF - timedelta(hours=2), ON)], ON, AS_OF, ""),
        ([], ON, AS_OF + timedelta(days=30), "were not recorded"),
        ([], {"configured": False}, AS_OF + timedelta(days=30), ""),
    ],
    ids=["first check", "same", "other before", "other within", "changed long ago", "backfill", "no flags"],
)
def test_flags_over_time(
    history: list[tuple[datetime, Mapping[str, Any]]],
    flags: Mapping[str, Any],
    present: datetime,
    doubt: str,
    settings: Settings,
) -> None:
    verdicts = check(
        settings,
        mysql=[rate(SUCCESS, 40, 62), count("stale_phases", 0, 5)],
        memory=Memory(flags=history),
        flags=flags,
        present=present,
    )
    assert (doubt in verdicts[SUCCESS].reason) if doubt else ("flags" not in verdicts[SUCCESS].reason)
    assert verdicts[SUCCESS].level_cap == (1 if doubt else 3)
    assert verdicts["stale_phases"].level_cap == 3


@pytest.mark.parametrize(
    ("files", "last", "lost"),
    [
        (1, FRESH, False),
        (0, FRESH, True),
        (0, AS_OF - timedelta(days=2), True),
        (0, STALE, False),
        (0, None, False),
    ],
    ids=["there", "gone", "gone for silent_after", "gone for longer", "never there"],
)
def test_files_that_were_there_lately_are_missed(
    files: int, last: datetime | None, lost: bool, settings: Settings
) -> None:
    glob = "/srv/app/storage/logs/laravel*.log*"
    log = Collected((), {"globs": {glob: files, "/srv/app/storage/logs/calcom*.log*": 3}})
    memory = Memory(sightings={glob_sighting(glob): last} if last else {})
    given = believable({"log": log}, memory, settings, AS_OF)["log"]
    assert (given is not log) is lost
    if lost:
        assert str(given).startswith(f"{glob} matches no file any more, it did at 2026-06-")


def test_muted_is_still_measured(settings: Settings) -> None:
    mute = {"rule": SUCCESS, "until": "2026-06-11T00:00:00+02:00", "reason": "load test"}
    muted = settings.model_copy(
        update={"mutes": (type(settings).model_fields["mutes"].annotation.__args__[0](**mute),)}
    )
    verdict = check(muted, mysql=[rate(SUCCESS, 40, 62)])[SUCCESS]
    assert verdict.state is State.CRITICAL
    assert verdict.muted == "muted until 2026-06-11 00:00: load test"


@pytest.mark.parametrize(
    ("samples", "state"),
    [
        ([rate(SUCCESS, 40, 40)], "ok"),
        ([rate(SUCCESS, 40, 40), count("orphaned_appointments", 1, 9)], "ok"),
        ([rate(SUCCESS, 40, 40), count("orphaned_appointments", 3, 5)], "alert"),
        ([rate(SUCCESS, 96, 100), rate(SYNC, 1, 2)], "degraded"),
        ([rate(SUCCESS, 1, 2), rate(SYNC, 100, 100)], "insufficient_data"),
        ([rate(SUCCESS, 1, 20), rate(SYNC, 93, 100)], "critical"),
    ],
)
def test_state_of_a_check_is_the_worst_without_info(
    samples: list[Sample], state: str, settings: Settings
) -> None:
    verdicts = [judge(s, settings) for s in samples]
    assert check_state(verdicts) is State(state)
    single = Sample(SUCCESS, HOUR, 7, 0, 0, 50)
    assert check_state([*verdicts, judge(single, settings)]) is State(state)


def test_samples_and_verdicts_survive_their_journey(settings: Settings) -> None:
    for sample in (rate(SUCCESS, 44, 62), Sample(SYNC, HOUR).lost(Loss.SOURCE, "gone")):
        verdict = judge(sample, settings)
        assert Sample.from_json(sample.to_json()) == sample
        assert Verdict.from_json(verdict.to_json()) == verdict
