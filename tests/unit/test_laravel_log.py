# SPDX-License-Identifier: MIT
"""What counts in the log and when: records, times, patterns, windows, sightings, and what the sentences say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from processing_time import settings as configuration
from processing_time.model import Collected, Sample, SourceUnavailable
from processing_time.sources import laravel_log
from processing_time.sources.laravel_log import records, scanning
from processing_time.timeline import Timeline

BERLIN = ZoneInfo("Europe/Berlin")
AS_OF = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
SINCE = AS_OF - timedelta(hours=1)
FAILED = "AppointmentPhaseObserver: Failed to create phases"
SYNC = "SyncAppointmentToCalcomJob: Processing Time"


class Log:
    """A folder of logs and a check over it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self.globs = [f"{folder}/laravel*.log*", f"{folder}/calcom*.log*"]

    def write(self, *lines: str | bytes, name: str = "laravel.log") -> Path:
        path = self.folder / name
        raw = [line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines]
        with path.open("ab") as file:
            file.write(b"".join(raw))
        return path

    def check(
        self,
        as_of: datetime = AS_OF,
        since: datetime = SINCE,
        *,
        present: datetime | None = None,
        need_since: datetime | None = None,
        **overlay: Any,
    ) -> Collected:
        """``overlay`` is laid over the shipped settings."""
        own = self.folder / "monitoring.yaml"
        own.write_text(yaml.safe_dump(overlay))
        self._monkeypatch.setenv(configuration.CONFIG_VARIABLE, str(own))
        self._monkeypatch.setenv("PROCESSING_TIME__APPLICATION__LOGS", json.dumps(self.globs))
        settings = configuration.load()
        timeline = Timeline(as_of, settings.zone, settings.application_zone, since)
        return laravel_log.collect(settings, timeline, present=present or as_of, need_since=need_since)

    def sample(self, metric: str, *args: Any, **kwargs: Any) -> Sample:
        return next(s for s in self.check(*args, **kwargs).samples if s.metric == metric)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(tmp_path, monkeypatch)


def record(at: datetime, text: str, level: str = "ERROR", zone: ZoneInfo | None = None) -> str:
    local = at.astimezone(zone or UTC)
    return f"[{local:%Y-%m-%d %H:%M:%S}] production.{level}: {text} "


def before(**ago: float) -> datetime:
    return AS_OF - timedelta(**ago)


# --- records and their times ---


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-03-10 10:30:00",
        "2026-03-10T10:30:00",
        "2026-03-10T10:30:00Z",
        "2026-03-10T10:30:00.123456Z",
        "2026-03-10T10:30:00.999999+00:00",
        "2026-03-10T12:30:00.5+02:00",
        "2026-03-10T05:00:00-0530",
        "2026-03-10 12:30:00.123+02",
    ],
)
def test_every_way_to_write_a_time(log: Log, stamp: str) -> None:
    log.write(f"[{stamp}] production.ERROR: {FAILED}")
    facts = log.check().facts
    assert facts["sightings"]["phase_creation_failures.match"] == "2026-03-10T10:30:00+00:00"
    assert facts["newest_record"] == "2026-03-10T10:30:00+00:00"


@pytest.mark.parametrize(
    "line",
    [
        f"#0 app/Observers.php(12): {FAILED}",
        f"[stacktrace] production.ERROR: {FAILED}",
        f"[2026-13-10 10:30:00] production.ERROR: {FAILED}",
        f"[2026-03-10 10:61:00] production.ERROR: {FAILED}",
        f"[2026-03-10 10:30:00] {FAILED}",
        f"[2026-03-10 10:30:00] production.FATAL: {FAILED}",
        f"[2026-03-10 10:30:00] ERROR: {FAILED}",
        f" [2026-03-10 10:30:00] production.ERROR: {FAILED}",
        f"x[2026-03-10 10:30:00] production.ERROR: {FAILED}",
        f"[2026-03-10 10:30:00]production.ERROR: {FAILED}",
        "[2026-03-10 10:30:00] production.ERROR: ",
        "",
    ],
)
def test_what_is_no_record_of_its_own_belongs_to_the_one_above(log: Log, line: str) -> None:
    log.write(record(before(minutes=20), "Something else"), line)
    sample = log.sample("phase_creation_failures")
    assert (sample.value, sample.numerator) == (0, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"[2026-03-10 10:30:00] production.ERROR: %b\r\n",
        b"[2026-03-10 10:30:00] production.ERROR: %b",
        b"\xef\xbb\xbf[2026-03-10 10:30:00] production.ERROR: %b\n",
        b"\0\0\0[2026-03-10 10:30:00] production.ERROR: %b\n",
        b"[2026-03-10 09:00:00] production.INFO: cut off by a cra\0\0\0[2026-03-10 10:30:00] production.ERROR: %b\n",
        b"[2026-03-10 10:30:00] production.ERROR: \0 %b \0[x]\n",
        b"[2026-03-10 10:30:00] production.ERROR: \xff\xfe\xc3 %b \xf0\x9f\n",
        b"\n\n\r\n[2026-03-10 10:30:00] production.ERROR: %b\n\n",
        "[2026-03-10 10:30:00] production.ERROR: ❌ Käse %b 📞\n".encode(),
    ],
    ids=[
        "crlf",
        "no line end",
        "bom",
        "nuls",
        "after a crash",
        "nul inside",
        "not utf-8",
        "empty lines",
        "emoji",
    ],
)
def test_odd_bytes_break_nothing(log: Log, raw: bytes) -> None:
    log.write(raw % FAILED.encode())
    assert log.sample("phase_creation_failures").numerator == 1


def test_a_last_line_that_is_cut_off_before_its_message_does_not_count(log: Log) -> None:
    log.write(record(before(minutes=2), "x"), b"[2026-03-10 10:59:00] production.ERROR: AppointmentPhaseObs")
    assert log.sample("phase_creation_failures").numerator == 0


# --- patterns ---


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f"{FAILED} {{}}", 1),
        ('Other {"note":"AppointmentPhaseObserver: Failed"}', 1),
        ("appointmentphaseobserver: failed", 0),
        ("AppointmentPhaseObserver: Phases created", 0),
        ("AppointmentPhaseObserver:  Failed", 0),
    ],
)
def test_patterns_are_texts_of_message_and_context_and_mind_case(log: Log, text: str, count: int) -> None:
    log.write(record(before(minutes=2), text))
    assert log.sample("phase_creation_failures").numerator == count


def test_neither_channel_nor_time_nor_stack_trace_can_match(log: Log) -> None:
    rule = {"title": "x", "all_of": ["Failed"], "more_than": 0, "action": "x"}
    log.write(
        "[2026-03-10 10:30:00] AppointmentFailed.ERROR: all is well",
        record(before(minutes=5), "Broken"),
        f"#1 {FAILED}",
        f"{FAILED} [2026-03-10 10:58:00] production.ERROR: {FAILED}",
    )
    assert log.sample("mine", log_rules={"mine": rule}).numerator == 0


@pytest.mark.parametrize(
    ("text", "failures", "successes"),
    [
        (f"{SYNC} sync failed", 1, 0),
        (f"{SYNC} API error 502", 1, 0),
        (f'{SYNC} sync failed {{"id":1}}', 1, 0),
        (f'{SYNC} sync success {{"error":null}}', 0, 1),
        (f'{SYNC} sync success {{"error":null}} {{"failed":0}}', 0, 1),
        (f'{SYNC} sync {{"status":"failed"}} []', 0, 0),
        (f'{SYNC} sync {{"status":"success", "trace":"[failed]', 0, 0),
        (f'{SYNC} got {{"status":"error"}} and failed {{"id":1}}', 1, 0),
        (f"{SYNC} [attempt 3] failed []", 1, 0),
        (f'{SYNC} done ["failed"]', 0, 0),
        (f"{SYNC} Failed", 0, 0),
        ('SyncAppointmentToCalcomJob: failed {"what":"Processing Time"}', 1, 0),
        ("SyncAppointmentToCalcomJob: failed", 0, 0),
        ("Processing Time sync failed", 0, 0),
    ],
)
def test_failed_and_success_are_words_of_the_message(
    log: Log, text: str, failures: int, successes: int
) -> None:
    log.write(record(before(minutes=2), text))
    sample = log.sample("calcom_sync_failures")
    assert (sample.numerator, sample.detail["successes"]) == (failures, successes)


def test_nuls_behind_a_context_do_not_make_it_message(log: Log) -> None:
    """A crash leaves them at the end of the last record, and the next one stands right behind them."""
    last = record(before(minutes=3), f'{SYNC} sync success {{"error":null}}')
    log.write(last + "\0" * 9 + record(before(minutes=2), "Something else"))
    sample = log.sample("calcom_sync_failures")
    assert (sample.numerator, sample.detail["successes"]) == (0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a {"b":1}', "a"),
        ('a {"b":1} []', "a"),
        ("a [] []", "a"),
        ("a []", "a"),
        ("a {} {}", "a"),
        ('a {"b":1} {"c":[1,2]} ', "a"),
        ('a ["b","c"]', "a"),
        ("a", "a"),
        ('a [b] c {"d":"[e] {f}"}', "a [b] c"),
        ('a {"b":1} c', 'a {"b":1} c'),
        ('a {"b":1} c {"d":2}', 'a {"b":1} c'),
        ('a [1] b {"c":"cut off', "a [1] b"),
        ('a {"b":"line\\nbreak","c":"cut off', "a"),
        ('a {"b":1} {"c":"cut off', "a"),
        ('a {b} {"c":1}', "a {b}"),
        ('a {"b":"tab\tand \x00"}', "a"),
        ('{"b":1}', '{"b":1}'),
        ("a " + "[" * 5000, "a " + "[" * 5000),
        ('ä ✓ {"b":"ü"}', "ä ✓"),
    ],
)
def test_where_the_message_ends(text: str, message: str) -> None:
    assert records.message(text) == message


@pytest.mark.parametrize(
    ("pattern", "text", "count"),
    [
        (
            "regex:processing_time_auto_create_phases.*false",
            "config processing_time_auto_create_phases => false",
            1,
        ),
        ("regex:processing_time_auto_create_phases.*false", "false processing_time_auto_create_phases", 0),
        ("regex:^Failed", "Failed at once", 1),
        ("regex:^Failed", "Not Failed", 0),
        ("regex:done$", "all done", 1),
        ("regex:done$", "done all", 0),
        ("regex:^.{3}$", "Käs", 1),
        ("regex:[äöü]x", "a öx", 1),
        ("regex:(?i)FAILED", "it failed", 1),
        (r"regex:\d{3}-[^ ]+ ok", "see 123-ü ok", 1),
        ("a.c", "abc", 0),
        ("a.c (x) [y] {z} \\ ^$|?*+", "say a.c (x) [y] {z} \\ ^$|?*+ now", 1),
        ("Käse 📞", "ein Käse 📞 mehr", 1),
        ("regex:(a+)+$", "a" * 5000 + "b", 0),
    ],
)
def test_literals_and_regular_expressions(log: Log, pattern: str, text: str, count: int) -> None:
    rule = {"title": "x", "all_of": [pattern], "more_than": 0, "action": "x"}
    log.write(f"[2026-03-10 10:30:00] production.ERROR: {text}\r\n".encode(), record(SINCE, "x"))
    assert log.sample("mine", log_rules={"mine": rule}).numerator == count


def test_a_pattern_that_the_engine_cannot_run_is_refused_in_a_sentence(log: Log) -> None:
    log.write(record(SINCE, "x"))
    rule = {"title": "x", "all_of": ["regex:ab++"], "more_than": 0, "action": "x"}
    with pytest.raises(SourceUnavailable, match=r"mine\.match: 'regex:ab\+\+' .* without look-around"):
        log.check(log_rules={"mine": rule})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (
            'AppointmentPhaseObserver: Phases created {"appointment_id":7,"phases_count":3,"duration_ms":42.75}',
            42.75,
        ),
        ('AppointmentPhaseObserver: Phases created {"duration_ms":"42","note":"duration_ms: 7"}', 42),
        ("AppointmentPhaseObserver: Phases created duration:17 ms", 17),
        ('AppointmentPhaseObserver: Phases created {"duration_ms":null}', None),
        (
            'AppointmentPhaseObserver: Processing Time phases created {"phases_count":3,"type":"processing_time"}',
            None,
        ),
        ('AppointmentPhaseObserver: Phases created {"duration_ms":' + "9" * 400 + "}", None),
    ],
)
def test_both_observer_lines_count_as_records_and_one_has_a_duration(
    log: Log, text: str, number: float | None
) -> None:
    log.write(record(before(minutes=3), text, "INFO"))
    collected = log.check()
    sample = next(s for s in collected.samples if s.metric == "phase_creation_time")
    assert (sample.value, sample.numerator, sample.denominator) == (
        number,
        number or 0,
        int(number is not None),
    )
    assert sample.detail == {"p50": number, "p95": number, "max": number, "records": 1}
    assert ("phase_creation_time.value" in collected.facts["sightings"]) == (number is not None)


def test_a_value_pattern_cannot_be_made_to_backtrack(log: Log) -> None:
    log.write(record(before(minutes=3), "AppointmentPhaseObserver: Phases created " + "a" * 50_000, "INFO"))
    patterns = {"value": r"(?:a+)+ took (\d+)"}
    sample = log.sample("phase_creation_time", metrics={"phase_creation_time": {"patterns": patterns}})
    assert (sample.value, sample.detail["records"]) == (None, 1)


def test_mean_and_percentiles_are_exact(log: Log) -> None:
    line = "AppointmentPhaseObserver: Phases created duration:{}"
    log.write(record(SINCE - timedelta(seconds=1), line.format(9000), "INFO"))
    log.write(*(record(SINCE + timedelta(seconds=i), line.format(i), "INFO") for i in range(1, 101)))
    sample = log.sample("phase_creation_time")
    assert (sample.value, sample.numerator, sample.denominator) == (50.5, 5050, 100)
    assert sample.detail == {"p50": 50, "p95": 95, "max": 100, "records": 100}


def test_numbers_beyond_measure_spoil_no_sum(log: Log) -> None:
    line = "AppointmentPhaseObserver: Phases created duration:{}"
    numbers = ("9" * 308, "9" * 308, "9" * 400, "20", "30")
    log.write(*(record(before(minutes=9), line.format(number), "INFO") for number in numbers))
    sample = log.sample("phase_creation_time")
    assert (sample.value, sample.denominator, sample.detail["records"]) == (25, 2, 5)


HIT = 'Availability from cache {"cache_key":"week_availability:1:7:2026-03-10:pt_1"}'
MISS = (
    '[WeeklyAvailability] Cal.com API response received {"cache_key":"week_availability:1:7:2026-03-10:pt_0"}'
)
DEPLOYED_MISS = (
    '[WeeklyAvailability] Cal.com API response received {"cache_key":"week_availability:1:7:2026-03-10"}'
)


def test_hits_and_misses(log: Log) -> None:
    log.write(*(record(before(minutes=9), text, "DEBUG") for text in [HIT, HIT, HIT, MISS, DEPLOYED_MISS]))
    collected = log.check()
    rate = next(s for s in collected.samples if s.metric == "availability_cache_hit_rate")
    spike = next(s for s in collected.samples if s.metric == "cache_miss_spike")
    assert (rate.value, rate.numerator, rate.denominator, rate.detail) == (75, 3, 4, {"hits": 3, "misses": 1})
    assert (spike.value, spike.numerator, spike.denominator) == (1, 1, None)


def test_nothing_there_is_no_value(log: Log) -> None:
    log.write(record(before(days=3), HIT), record(before(minutes=1), "Hello"))
    collected = log.check()
    values = {s.metric: (s.value, s.numerator, s.denominator) for s in collected.samples}
    assert values["availability_cache_hit_rate"] == (None, 0, 0)
    assert values["phase_creation_time"] == (None, 0, 0)
    assert values["calcom_sync_failures"] == (0, 0, None)
    assert collected.facts["sightings"] == {}


def test_what_is_disabled_has_no_sample_and_no_sighting(log: Log) -> None:
    log.write(record(before(minutes=1), HIT), record(before(minutes=1), FAILED))
    collected = log.check(
        metrics={"availability_cache_hit_rate": {"enabled": False}},
        log_rules={key: {"enabled": False} for key in ("cache_miss_spike", "phase_creation_failures")},
    )
    assert [s.metric for s in collected.samples] == [
        "phase_creation_time", "observer_disabled", "calcom_sync_failures",
    ]  # fmt: skip
    assert set(collected.facts["sightings"]) == {"phase_creation_time.alive"}
    assert collected.facts["today"] == {}


# --- windows ---


def test_the_slice_is_half_open(log: Log) -> None:
    for at in (SINCE - timedelta(seconds=1), SINCE, AS_OF - timedelta(seconds=1), AS_OF):
        log.write(record(at, FAILED))
    sample = log.sample("phase_creation_failures", present=AS_OF)
    assert sample.numerator == 2
    assert sample.detail["last_24h"] == 3


@pytest.mark.parametrize(
    ("minutes", "largest", "total", "burst"),
    [
        ([1, 1, 1, 30, 30, 59], 6, 6, 1),
        (
            [59, 61, 62, 63, 64, 65],
            6,
            1,
            59,
        ),  # across the boundary: this check's, for its last record lies in it
        ([61, 62, 63, 64, 65, 66], 0, 0, None),  # over before the slice: the check before has told
        ([0.5, 60.5], 1, 1, 0.5),  # an hour apart is not within an hour …
        ([0.5, 60.48], 2, 1, 0.5),  # … a second less is
        ([10, 10, 40, 40, 40], 5, 5, 10),
        ([], 0, 0, None),
    ],
)
def test_the_largest_count_within_an_hour(
    log: Log, minutes: list[float], largest: int, total: int, burst: float | None
) -> None:
    log.write(record(before(hours=5), "x"))
    log.write(*(record(before(minutes=m), FAILED) for m in sorted(minutes, reverse=True)))
    sample = log.sample("phase_creation_failures")
    assert (sample.value, sample.numerator, sample.denominator) == (largest, total, None)
    at = None if burst is None else before(minutes=burst).isoformat()
    assert sample.detail == {"burst_at": at, "total": total, "last_24h": len(minutes)}


def test_the_check_in_the_morning_finds_the_burst_of_the_night(log: Log) -> None:
    night = datetime(2026, 3, 10, 3, 10, tzinfo=BERLIN)
    log.write(*(record(night + timedelta(minutes=i), FAILED) for i in range(9)))
    log.write(record(night + timedelta(hours=3), "x"))
    eight = datetime(2026, 3, 10, 8, tzinfo=BERLIN).astimezone(UTC)
    sample = log.sample("phase_creation_failures", eight, eight - timedelta(hours=12))
    assert (sample.value, sample.detail["burst_at"]) == (
        9,
        (night.astimezone(UTC) + timedelta(minutes=8)).isoformat(),
    )


def test_a_rule_without_a_stretch_gives_the_slices_total(log: Log) -> None:
    text = 'Config cached {"processing_time_auto_create_phases":false}'
    log.write(*(record(before(minutes=m), text, "INFO") for m in (90, 50, 10)))
    sample = log.sample("observer_disabled")
    assert (sample.value, sample.numerator) == (2, 2)
    assert sample.detail == {"burst_at": None, "total": 2, "last_24h": 3}


def test_today_begins_at_midnight_in_berlin(log: Log) -> None:
    midnight = datetime(2026, 3, 9, 23, 0, tzinfo=UTC)
    for at in (midnight - timedelta(seconds=1), midnight, before(hours=2)):
        for level in ("ERROR", "CRITICAL", "ALERT", "EMERGENCY"):
            log.write(record(at, "Database gone", level))
        log.write(record(at, HIT), record(at, MISS), record(at, "production.CRITICAL: no"))
    facts = log.check().facts
    assert facts["critical_records_today"] == 6
    assert facts["today"] == {"availability_cache_hit_rate": {"hits": 2, "misses": 2}}


def test_what_was_seen_last_before_as_of(log: Log) -> None:
    for ago, text in ((50, FAILED), (40, HIT), (30, f"{SYNC} sync success"), (20, MISS), (-5, FAILED)):
        log.write(record(before(minutes=ago), text))
    present = AS_OF + timedelta(minutes=30)
    assert log.check(present=present).facts["sightings"] == {
        "phase_creation_time.alive": before(minutes=50).isoformat(),
        "phase_creation_failures.alive": before(minutes=50).isoformat(),
        "phase_creation_failures.match": before(minutes=50).isoformat(),
        "availability_cache_hit_rate.alive": before(minutes=20).isoformat(),
        "availability_cache_hit_rate.hit": before(minutes=40).isoformat(),
        "availability_cache_hit_rate.miss": before(minutes=20).isoformat(),
        "cache_miss_spike.alive": before(minutes=20).isoformat(),
        "cache_miss_spike.match": before(minutes=20).isoformat(),
        "calcom_sync_failures.alive": before(minutes=30).isoformat(),
        "calcom_sync_failures.successes": before(minutes=30).isoformat(),
    }


def test_the_caller_may_ask_for_an_earlier_start(log: Log) -> None:
    log.write(record(before(hours=40), FAILED), record(before(minutes=1), "x"))
    name = "phase_creation_failures.alive"
    assert name not in log.check().facts["sightings"]
    seen = log.check(need_since=before(hours=48)).facts["sightings"]
    assert seen[name] == before(hours=40).isoformat()
    assert name in log.check(since=before(hours=39.5)).facts["sightings"], (
        "an hour before the slice is read as well"
    )


# --- the application's time zone ---


def test_plain_times_are_in_the_applications_zone(log: Log) -> None:
    log.write(record(before(minutes=30), FAILED, zone=BERLIN))
    berlin = {"application": {"timezone": "Europe/Berlin"}}
    assert log.sample("phase_creation_failures", **berlin).numerator == 1
    assert log.sample("phase_creation_failures", present=AS_OF + timedelta(hours=1)).numerator == 0


def test_the_newest_record_must_not_lie_in_the_future(log: Log) -> None:
    log.write(record(AS_OF, "x"), record(AS_OF + timedelta(seconds=60), "x"))
    log.check()
    log.write(record(AS_OF + timedelta(seconds=61), "x"))
    with pytest.raises(
        SourceUnavailable, match=r"application\.timezone = 'UTC' cannot be right: .*laravel\.log"
    ):
        log.check()


AUTUMN = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # 02:00 in Berlin for the first time


TWICE = {5: FAILED, 10: FAILED, 50: "x", 59: "x", 61: "x", 75: FAILED, 90: FAILED, 110: "x", 130: "x"}


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("since", "until", "counted"),
    [
        (0, 125, 4),
        (8, 125, 3),
        (40, 125, 2),
        (60, 125, 2),
        (80, 125, 1),
        (100, 125, 0),
        (0, 64, 2),
        (0, 80, 3),
        (0, 9, 1),
    ],
)
def test_the_hour_that_comes_twice_is_told_apart_by_its_neighbours(
    log: Log, monkeypatch: pytest.MonkeyPatch, since: int, until: int, counted: int, processes: int
) -> None:
    if processes == 2:
        monkeypatch.setattr(scanning, "WORTH_TWO", 1)
    log.write(*(record(AUTUMN + timedelta(minutes=m), text, zone=BERLIN) for m, text in TWICE.items()))
    end = AUTUMN + timedelta(minutes=until)
    overlay = {"application": {"timezone": "Europe/Berlin"}}
    sample = log.sample(
        "phase_creation_failures",
        end,
        AUTUMN + timedelta(minutes=since),
        present=end + timedelta(1),
        **overlay,
    )
    assert sample.numerator == counted


def test_a_time_in_the_hour_that_is_skipped_is_taken_as_it_stands() -> None:
    clock = records.Clock(BERLIN)
    seconds = [clock.second(f"[2026-03-29 {t}".encode()) for t in ("02:50:00", "02:10:00", "03:10:00")]
    assert seconds == [datetime(2026, 3, 29, 1, m, tzinfo=UTC).timestamp() for m in (50, 10, 10)]


def test_the_days_on_which_the_clocks_change_have_the_right_hours(log: Log) -> None:
    # 29 March 2026: 03:10 in Berlin is 01:10 in UTC, seven hours after 18:10 of the day before.
    burst = datetime(2026, 3, 29, 3, 10, tzinfo=BERLIN).astimezone(UTC)
    assert burst.hour == 1
    log.write(*(record(burst + timedelta(seconds=i), FAILED, zone=BERLIN) for i in range(7)))
    as_of = datetime(2026, 3, 29, 8, tzinfo=BERLIN).astimezone(UTC)
    overlay = {"application": {"timezone": "Europe/Berlin"}}
    assert log.sample("phase_creation_failures", as_of, burst, **overlay).value == 7
    assert (
        log.sample("phase_creation_failures", as_of, burst + timedelta(seconds=1), **overlay).numerator == 6
    )
    log.write("[2026-03-29 02:30:00] production.ERROR: a time that does not exist " + FAILED)
    assert (
        log.sample("phase_creation_failures", as_of, burst + timedelta(minutes=1), **overlay).numerator == 1
    )


@pytest.mark.parametrize("since_minutes", [30, 90])
def test_offsets_leave_no_doubt_in_the_double_hour(log: Log, since_minutes: int) -> None:
    for minutes in (15, 75, 100):
        at = (AUTUMN + timedelta(minutes=minutes)).astimezone(BERLIN)
        log.write(f"[{at.isoformat()}] production.ERROR: {FAILED}")
    end = AUTUMN + timedelta(minutes=120)
    since = AUTUMN + timedelta(minutes=since_minutes)
    overlay = {"application": {"timezone": "Europe/Berlin"}}
    sample = log.sample("phase_creation_failures", end, since, present=end + timedelta(1), **overlay)
    assert sample.numerator == {30: 2, 90: 1}[since_minutes]


# --- the sentences ---


def test_no_file_is_no_health(log: Log) -> None:
    with pytest.raises(
        SourceUnavailable, match=r"application\.logs matches no file \(.*laravel\*\.log\*, .*mount"
    ):
        log.check()


def test_a_file_that_cannot_be_read_is_named(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log.write(record(SINCE, "x"))

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("processing_time.sources.laravel_log.files.os.open", refused)
    with pytest.raises(SourceUnavailable) as caught:
        log.check()
    assert str(caught.value) == (
        f"application.logs: {path} cannot be read (Permission denied): let the user that runs the tasks read it"
    )
