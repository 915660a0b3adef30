# SPDX-License-Identifier: MIT
"""The reader against a plain reading of the same files, line by line, over logs made up at random.

The reference shares no code with the reader: it holds everything in memory, splits at line ends and uses ``in``.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from processing_time import settings as configuration
from processing_time.model import SourceUnavailable
from processing_time.sources import laravel_log
from processing_time.sources.laravel_log import files, scanning, slices
from processing_time.sources.laravel_log.scanning import Plan, Tally
from processing_time.sources.laravel_log.slices import Part
from processing_time.timeline import Timeline

AS_OF = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
SINCE = AS_OF - timedelta(hours=2)
MIDNIGHT = datetime(2026, 3, 9, 23, 0, tzinfo=UTC)  # in Berlin
HOUR = timedelta(hours=1)

WORDS = [
    "AppointmentPhaseObserver:", "Failed", "AppointmentPhaseObserver: Failed", "Phases created",
    "Processing Time phases created", "SyncAppointmentToCalcomJob", "Processing Time", "failed", "success", "error",
    "week_availability", ":pt_1", "from cache", "Cal.com API response received", "duration: 12.5", "duration_ms=7",
    "processing_time_auto_create_phases", "false", "[x]", "Käse 📞", "a", "CRITICAL", ".ALERT:", "2026-03-10 10:00:00",
]  # fmt: skip
TELLING = [
    "AppointmentPhaseObserver: Failed to create phases",
    "AppointmentPhaseObserver: Phases created duration:7",
    "Availability from cache week_availability:1:pt_0",
    "[WeeklyAvailability] Cal.com API response received week_availability:1:pt_1",
    "SyncAppointmentToCalcomJob: Processing Time sync success",
    "SyncAppointmentToCalcomJob: Processing Time sync failed",
    "processing_time_auto_create_phases is false",
]
LEVELS = ["INFO", "ERROR", "WARNING", "CRITICAL", "EMERGENCY"]


@dataclass(frozen=True)
class Written:
    """A record as it is written: seconds before as_of, level, message, context, the lines below it."""

    ago: int
    level: str
    message: str
    context: str
    below: tuple[str, ...]


words = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
messages = st.one_of(st.sampled_from(TELLING), st.sampled_from(TELLING), words)
contexts = st.one_of(
    st.just(""),
    st.just(" []"),
    words.map(lambda w: " " + json.dumps({"note": w, "duration_ms": 42})),
    words.map(lambda w: f' {{"note":"{w}", "cut":"off'),
    words.map(lambda w: " " + json.dumps({"k": w}) + ' {"extra":"failed"}'),
)
below = st.lists(words.map(lambda w: f"#0 {w}") | words.map(lambda w: f"[stacktrace] {w}"), max_size=3).map(
    tuple
)
# Times huddle around the edges of all windows, and a few lie far from them.
edges = st.sampled_from([0, 1, 3600, 7200, 7201, 10_800, 12 * 3600, 24 * 3600, 25 * 3600, 40 * 3600])
agos = st.one_of(st.builds(int.__add__, edges, st.integers(-3, 3)), st.integers(-600, 45 * 3600))
written = st.builds(Written, agos, st.sampled_from(LEVELS), messages, contexts, below)
odd = st.sampled_from([b"", b"", b"", b"\0", b"\xff", b"\0\0[", b"\xc3", "❌".encode()])


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """One to three files; records a little out of order, line ends and odd bytes mixed."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        records = draw(st.lists(written, max_size=25))
        records.sort(key=lambda r: -r.ago - draw(st.integers(0, 50)))
        raw = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\0\0", b"cut off line\n", b"\n"]))
        for record in records:
            end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\n\n", b"\n\0\0"]))
            raw += header(record).encode() + draw(odd) + (record.message + record.context).encode() + end
            raw += b"".join(line.encode() + b"\n" for line in record.below)
        made.append(raw if draw(st.booleans()) else raw.rstrip(b"\r\n\0"))
    return made


def header(record: Written) -> str:
    at = AS_OF - timedelta(seconds=record.ago)
    if record.ago % 3:
        return f"[{at:%Y-%m-%d %H:%M:%S}] production.{record.level}: "
    local = at + HOUR
    return f"[{local:%Y-%m-%dT%H:%M:%S}.{record.ago % 1000:06d}+01:00] local.{record.level}: "


# --- the reference ---

RECORD = re.compile(
    rb"\[(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?(\+01:00)?\] \w+\.(INFO|ERROR|WARNING|CRITICAL|EMERGENCY): (.*)",
    re.DOTALL,
)


def plainly(raws: list[bytes]) -> list[tuple[datetime, str, str, str]]:
    """Every record of all files: time, level, text, message."""
    found = []
    for raw in raws:
        for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            for piece in re.split(rb"\0+(?=\[2026)", line):
                if match := RECORD.fullmatch(piece.rstrip(b"\r")):
                    at = datetime.fromisoformat(f"{match[1].decode()}T{match[2].decode()}+00:00")
                    text = match[5].decode("utf-8", "replace")
                    found.append((at - HOUR if match[3] else at, match[4].decode(), text, message(text)))
    return found


def message(text: str) -> str:
    """The contexts made here begin with one of two texts that no message holds."""
    return min(text.partition(' {"')[0], text.partition(" []")[0], key=len)


def reference(raws: list[bytes]) -> dict[str, Any]:
    records = [r for r in plainly(raws) if AS_OF - HOUR * 24 <= r[0] < AS_OF]
    found: dict[str, list[datetime]] = {}

    def note(name: str, at: datetime, holds: bool) -> None:
        if holds:
            found.setdefault(name, []).append(at)

    numbers = []
    for at, level, text, said in records:
        observer = "AppointmentPhaseObserver:" in text
        created = observer and ("Phases created" in text or "Processing Time phases created" in text)
        note("phase_creation_time.record", at, created)
        number = re.search(r'duration(?:_ms)?"?\s*[:=]\s*"?([0-9]+(?:\.[0-9]+)?)', text)
        note("phase_creation_time.value", at, created and number is not None)
        if created and number and at >= SINCE:
            numbers.append(float(number[1]))
        note("phase_creation_time.alive", at, observer)
        note("phase_creation_failures.alive", at, observer)
        note("phase_creation_failures.match", at, "AppointmentPhaseObserver: Failed" in text)
        asked = "week_availability" in text and ":pt_" in text
        note("availability_cache_hit_rate.alive", at, asked)
        note("cache_miss_spike.alive", at, asked)
        note("availability_cache_hit_rate.hit", at, asked and "from cache" in text)
        note("availability_cache_hit_rate.miss", at, asked and "Cal.com API response" in text)
        note("cache_miss_spike.match", at, "Cal.com API response received" in text and ":pt_" in text)
        sync = "SyncAppointmentToCalcomJob" in text and "Processing Time" in text
        note("calcom_sync_failures.alive", at, sync)
        note("calcom_sync_failures.match", at, sync and ("failed" in said or "error" in said))
        note("calcom_sync_failures.successes", at, sync and "success" in said)
        off = "processing_time_auto_create_phases" in text
        note(
            "observer_disabled.match",
            at,
            off and "false" in text.split("processing_time_auto_create_phases", 1)[1],
        )
        note("critical", at, level in ("CRITICAL", "EMERGENCY"))

    def since(name: str, start: datetime) -> int:
        return sum(at >= start for at in found.get(name, []))

    hit, miss = (since(f"availability_cache_hit_rate.{x}", SINCE) for x in ("hit", "miss"))
    expected: dict[str, Any] = {
        "availability_cache_hit_rate": (100 * hit / (hit + miss) if hit + miss else None, hit, hit + miss),
        "phase_creation_time": (sum(numbers) / len(numbers) if numbers else None, sum(numbers), len(numbers)),
        "records": since("phase_creation_time.record", SINCE),
        "successes": since("calcom_sync_failures.successes", SINCE),
        "critical": since("critical", MIDNIGHT),
        "today": tuple(since(f"availability_cache_hit_rate.{x}", MIDNIGHT) for x in ("hit", "miss")),
        "sightings": {name: max(ats).isoformat() for name, ats in found.items() if name != "critical"},
    }
    for rule, within in {
        "phase_creation_failures": HOUR, "cache_miss_spike": HOUR / 12, "calcom_sync_failures": HOUR,
        "observer_disabled": None,
    }.items():  # fmt: skip
        ats = found.get(f"{rule}.match", [])
        inside = [at for at in ats if at >= SINCE]
        windows = {t: sum(t - within < at <= t for at in ats) for t in inside} if within else {}
        largest = max(windows.values(), default=0) if within else len(inside)
        burst = min((t for t, n in windows.items() if n == largest), default=None)
        expected[rule] = (largest, len(inside), None, burst and burst.isoformat(), len(ats))
    return expected


# --- the reader ---


@contextmanager
def written_out(raws: list[bytes], packed: bool) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        for i, raw in enumerate(raws):
            data = gzip.compress(raw) if packed and i == 0 else raw
            Path(folder, f"laravel.log.{i}").write_bytes(data)
        yield f"{folder}/laravel.log*"


def in_two(plan: Plan, parts: list[Part]) -> list[Tally]:
    """As two processes share the work, but in this one."""
    both = []
    for half in slices.halves(parts, 0):
        scanner = scanning.Scanner(plan)
        for part in half:
            scanner.read(part)
        both.append(pickle.loads(pickle.dumps(scanner.tallies)))
    for ours, theirs in zip(*both, strict=True):
        ours.add(theirs)
    return both[0]


def measured(
    raws: list[bytes], chunk: int, packed: bool, pages: int = 16, halved: bool = False
) -> dict[str, Any]:
    with (
        written_out(raws, packed) as pattern,
        mock.patch.dict(os.environ, PROCESSING_TIME__APPLICATION__LOGS=json.dumps([pattern])),
        mock.patch.object(files, "CHUNK", chunk),
        mock.patch.object(slices, "CHUNK", chunk),
        mock.patch.object(scanning, "_PAGES", pages),
        mock.patch.object(laravel_log, "scan", in_two if halved else laravel_log.scan),
        mock.patch.object(slices, "_PROBE", min(chunk, 100)),
    ):
        settings = SETTINGS.model_copy(
            update={"application": SETTINGS.application.model_copy(update={"logs": (pattern,)})}
        )
        timeline = Timeline(AS_OF, settings.zone, settings.application_zone, SINCE)
        collected = laravel_log.collect(settings, timeline, present=AS_OF + HOUR)
    by = {s.metric: s for s in collected.samples}
    got: dict[str, Any] = {
        key: (by[key].value, by[key].numerator, by[key].denominator)
        for key in ("availability_cache_hit_rate", "phase_creation_time")
    }
    got["records"] = by["phase_creation_time"].detail["records"]
    got["successes"] = by["calcom_sync_failures"].detail["successes"]
    got["critical"] = collected.facts["critical_records_today"]
    got["today"] = tuple(collected.facts["today"]["availability_cache_hit_rate"].values())
    got["sightings"] = dict(collected.facts["sightings"])
    for rule in ("phase_creation_failures", "cache_miss_spike", "calcom_sync_failures", "observer_disabled"):
        s = by[rule]
        got[rule] = (s.value, s.numerator, s.denominator, s.detail["burst_at"], s.detail["last_24h"])
    return got


SETTINGS = configuration.load()


@given(
    raws=logs(),
    chunk=st.sampled_from([1, 13, 64, 257, 1000, 1 << 18]),
    packed=st.booleans(),
    pages=st.sampled_from([1, 3, 16]),
    halved=st.booleans(),
)
@examples(max_examples=150)
@example(raws=[b""], chunk=64, packed=False, pages=16, halved=False)
def test_the_reader_counts_what_a_plain_reading_counts(
    raws: list[bytes], chunk: int, packed: bool, pages: int, halved: bool
) -> None:
    if not plainly(raws) and all(raws) and not packed:
        with pytest.raises(SourceUnavailable, match="holds no line that begins with a time"):
            measured(raws, chunk, packed, pages, halved)
    else:
        assert measured(raws, chunk, packed, pages, halved) == reference(raws)


def test_the_reference_has_something_to_count() -> None:
    """Records made up at random bear every mark, on both sides of every window."""
    seen: Counter[str] = Counter()

    @given(raws=logs())
    @examples(max_examples=500, database=None)
    def tally(raws: list[bytes]) -> None:
        result = reference(raws)
        seen.update(result["sightings"].keys())
        seen.update(f"{key} burst" for key in SETTINGS.log_rules if (result[key][0] or 0) > 1)

    tally()
    assert len(seen) >= 14 + 3
    assert min(seen.values()) >= 3
