# SPDX-License-Identifier: MIT
"""Files as they come: rotated, packed, linked, copied, growing, shrinking, huge; and how much of them is read."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time import settings as configuration
from processing_time.model import Collected, SourceUnavailable
from processing_time.sources import laravel_log
from processing_time.sources.laravel_log import files, scanning, slices
from processing_time.timeline import Timeline

AS_OF = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
FAILED = "AppointmentPhaseObserver: Failed to create phases"
FILLER = "Request handled " + "." * 100
PLUGINS = Path(laravel_log.__file__).resolve().parents[3]


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__LOGS", json.dumps([f"{tmp_path}/laravel*.log*"]))
    return tmp_path


def check(hours: float = 1, as_of: datetime = AS_OF) -> Collected:
    settings = configuration.load()
    timeline = Timeline(as_of, settings.zone, settings.application_zone, as_of - timedelta(hours=hours))
    return laravel_log.collect(settings, timeline, present=AS_OF)


def failures(hours: float = 1, as_of: datetime = AS_OF) -> float | None:
    return next(s.numerator for s in check(hours, as_of).samples if s.metric == "phase_creation_failures")


def lines(
    count: int, text: str = FAILED, first: datetime = AS_OF - timedelta(minutes=30), step: float = 1
) -> bytes:
    """So many records, `step` seconds apart, no two alike."""
    times = (first + timedelta(seconds=i * step) for i in range(count))
    return b"".join(
        f"[{t:%Y-%m-%d %H:%M:%S}] production.ERROR: {text} {i}\n".encode() for i, t in enumerate(times)
    )


# --- which files there are ---


def test_rotated_and_packed_files_count(logs: Path) -> None:
    (logs / "laravel.log").write_bytes(lines(1))
    (logs / "laravel.log.1").write_bytes(lines(2))
    (logs / "laravel-2026-03-10.log").write_bytes(lines(4))
    (logs / "laravel.log.2.gz").write_bytes(gzip.compress(lines(8)))
    (logs / "laravel-2026-03-09.log.gz").write_bytes(gzip.compress(lines(16)[:-1]))
    (logs / "other.log").write_bytes(lines(32))
    collected = check()
    assert failures() == 31
    assert collected.facts["globs"] == {f"{logs}/laravel*.log*": 5}
    assert len(collected.facts["files"]) == 5


def test_a_packed_file_of_several_members_and_padding(logs: Path) -> None:
    packed = gzip.compress(lines(3)) + gzip.compress(b"") + gzip.compress(lines(400, FILLER) + lines(5))
    (logs / "laravel.log.1").write_bytes(packed + bytes(1000))
    assert failures() == 8


@pytest.mark.parametrize("chunk", [1, 7, 100, 1 << 18])
def test_unpacking_does_not_depend_on_the_size_of_the_blocks(
    logs: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(files, "CHUNK", chunk)
    (logs / "laravel.log.gz").write_bytes(
        gzip.compress(lines(5) + lines(20, FILLER)) + gzip.compress(lines(6))
    )
    assert failures() == 11


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_under_two_names_counts_once(logs: Path, link: Callable[..., None]) -> None:
    (logs / "laravel.log").write_bytes(lines(7))
    link(logs / "laravel.log", logs / "laravel-current.log")
    assert failures() == 7


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("laravel.log.bak", lambda raw: raw),
        ("laravel.log.1", lambda raw: raw[: len(raw) // 2]),
        ("laravel.log.1", lambda raw: raw[:17_000]),
        ("laravel.log.1.gz", gzip.compress),
        ("laravel.log.1.gz", lambda raw: gzip.compress(raw[: len(raw) // 2])),
    ],
    ids=["backup", "copy under way", "copy begun", "packed copy", "packing under way"],
)
def test_a_copy_beside_its_original_counts_once(
    logs: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    raw = lines(400)
    (logs / "laravel.log").write_bytes(raw)
    (logs / name).write_bytes(change(raw))
    assert failures() == 400


def test_files_that_merely_begin_alike_are_two_files(logs: Path) -> None:
    (logs / "laravel.log").write_bytes(lines(20))
    (logs / "laravel.log.1").write_bytes(lines(20))
    assert failures() == 40, "too short to tell a copy"
    (logs / "laravel.log").write_bytes(bytes(32_768) + lines(20))
    (logs / "laravel.log.1").write_bytes(bytes(32_768) + lines(20))
    assert failures() == 40, "NULs are no proof"


def test_what_is_no_file_is_passed_over(logs: Path) -> None:
    (logs / "laravel.log").write_bytes(lines(3))
    (logs / "laravel.logs").mkdir()
    (logs / "laravel.log.gone").symlink_to(logs / "nowhere")
    os.mkfifo(logs / "laravel.log.pipe")
    assert failures() == 3
    (logs / "laravel.log").unlink()
    with pytest.raises(SourceUnavailable, match="matches no file"):
        check()


UNREADABLE = [b"#0 trace\n#1 trace\n", b"\n" * 9000, b"\0" * 9000, b"x" * 300_000, b'{"level":500}\n']


def test_an_empty_file_is_a_quiet_log(logs: Path) -> None:
    (logs / "laravel.log").write_bytes(b"")
    assert check().facts["newest_record"] is None
    assert failures() == 0


@pytest.mark.parametrize("content", UNREADABLE)
def test_a_log_that_holds_no_record_at_all_is_not_read_as_silence(logs: Path, content: bytes) -> None:
    (logs / "laravel.log").write_bytes(content)
    with pytest.raises(SourceUnavailable, match=r"laravel\.log holds no line that begins with a time"):
        check()


@pytest.mark.parametrize("content", [b"", *UNREADABLE])
def test_a_file_without_a_record_hides_nothing(logs: Path, content: bytes) -> None:
    (logs / "laravel.log").write_bytes(content)
    (logs / "laravel.log.1").write_bytes(lines(3))
    assert failures() == 3


@pytest.mark.parametrize("cut", [20, 200, -1, -9])
def test_a_damaged_packed_file_is_said(logs: Path, cut: int) -> None:
    (logs / "laravel.log.1.gz").write_bytes(gzip.compress(os.urandom(100) + lines(900))[:cut])
    with pytest.raises(SourceUnavailable, match=r"laravel\.log\.1\.gz is a damaged gzip file: pack it again"):
        check()


@pytest.mark.parametrize("pack", [lzma.compress, bz2.compress, lambda _: bytes.fromhex("28b52ffd04")])
def test_a_file_that_is_packed_otherwise_is_no_silence(logs: Path, pack: Callable[[bytes], bytes]) -> None:
    """Only one that may hold something: older ones lie about for weeks."""
    (logs / "laravel.log").write_bytes(lines(3))
    packed = logs / "laravel.log.1.xz"
    packed.write_bytes(pack(lines(5)))
    in_the_slice = (AS_OF - timedelta(hours=20)).timestamp()
    os.utime(packed, (in_the_slice, in_the_slice))
    with pytest.raises(SourceUnavailable, match=r"laravel\.log\.1\.xz is packed, but not with gzip"):
        check()
    long_ago = (AS_OF - timedelta(hours=30)).timestamp()
    os.utime(packed, (long_ago, long_ago))
    assert failures() == 3


def test_garbage_in_a_packed_file_is_said(logs: Path) -> None:
    packed = bytearray(gzip.compress(lines(900)))
    packed[300:310] = b"\xff" * 10
    (logs / "laravel.log.1.gz").write_bytes(packed)
    with pytest.raises(SourceUnavailable, match="damaged gzip file"):
        check()


# --- files that change meanwhile ---


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], None]:
    """Do something between two reads, before the n-th."""

    def install(number: int, action: Callable[[], Any]) -> None:
        reads = 0
        read = files.LogFile.read

        def watched(self: files.LogFile, at: int, size: int) -> bytes:
            nonlocal reads
            reads += 1
            if reads == number:
                action()
            return read(self, at, size)

        monkeypatch.setattr(files, "CHUNK", 500)
        monkeypatch.setattr(files.LogFile, "read", watched)

    return install


@pytest.mark.parametrize("number", [1, 3, 10, 30, 60])
def test_a_file_renamed_while_it_is_read(logs: Path, meanwhile: Any, number: int) -> None:
    path = logs / "laravel.log"
    path.write_bytes(lines(200))

    def rotate() -> None:
        path.rename(logs / "laravel.log.1")
        path.write_bytes(lines(5))

    meanwhile(number, rotate)
    assert failures() == 200


@pytest.mark.parametrize("number", [1, 3, 10, 30, 60])
def test_a_file_copied_and_emptied_while_it_is_read(logs: Path, meanwhile: Any, number: int) -> None:
    path = logs / "laravel.log"
    path.write_bytes(lines(200))

    def copytruncate() -> None:
        shutil.copy(path, logs / "laravel.log.1")
        os.truncate(path, 0)

    meanwhile(number, copytruncate)
    assert failures() == 200


@pytest.mark.parametrize("number", [1, 3, 10, 30, 60])
def test_a_file_that_grows_while_it_is_read(logs: Path, meanwhile: Any, number: int) -> None:
    path = logs / "laravel.log"
    path.write_bytes(lines(200))

    def grow() -> None:
        with path.open("ab") as file:
            file.write(lines(50))

    meanwhile(number, grow)
    assert failures() == 200, "up to where it was when it was opened"


def test_a_file_that_keeps_shrinking_does_not_hold_us_up(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = logs / "laravel.log"
    path.write_bytes(lines(200))
    read = files.LogFile.read

    def shrinking(self: files.LogFile, at: int, size: int) -> bytes:
        os.truncate(path, max(0, path.stat().st_size - 20))
        return read(self, at, size)

    monkeypatch.setattr(files.LogFile, "read", shrinking)
    assert 0 < (failures() or 0) <= 200


def test_a_rotation_between_listing_and_opening(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = logs / "laravel.log"
    path.write_bytes(lines(20))
    (logs / "laravel.log.1").write_bytes(lines(300))
    listing, rotated = files.glob, []

    def rotate(pattern: str, *, recursive: bool) -> list[str]:
        found = listing(pattern, recursive=recursive)
        if not rotated:
            rotated.append((logs / "laravel.log.1").rename(logs / "laravel.log.2"))
            path.rename(logs / "laravel.log.1")
            path.write_bytes(lines(1))
        return found

    monkeypatch.setattr(files, "glob", rotate)
    assert failures() == 321


# --- how much is read ---


@pytest.fixture
def three_days(logs: Path) -> Path:
    """A record every ten seconds for three days and an hour up to ``AS_OF``: 3 MiB; one in a hundred is a failure."""
    path = logs / "laravel.log"
    with path.open("wb") as file:
        for i in range(73 * 360):
            text = FAILED if i % 100 == 0 else FILLER
            file.write(lines(1, text, AS_OF - timedelta(hours=73) + timedelta(seconds=10 * i)))
    return path


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As small against these files as the real ones are against real files."""
    monkeypatch.setattr(files, "CHUNK", 8192)
    monkeypatch.setattr(files, "_BEGINNING", 4096)
    monkeypatch.setattr(slices, "CHUNK", 8192)
    monkeypatch.setattr(slices, "_PROBE", 512)


@pytest.mark.parametrize("hours_ago", [0, 24, 30, 48])
def test_the_slice_is_read_and_not_the_file(three_days: Path, small_blocks: None, hours_ago: int) -> None:
    as_of = AS_OF - timedelta(hours=hours_ago)
    last = (73 - hours_ago) * 360
    assert failures(as_of=as_of) == sum(i % 100 == 0 for i in range(last - 360, last))
    a_day = three_days.stat().st_size * 24 / 73
    assert a_day < check(as_of=as_of).facts["bytes_read"] < 1.05 * a_day


@pytest.mark.parametrize(
    "minutes", [-20, 5, 30, 55, 65, 90, 115, 125, 1440 - 20, 1440 + 30, 1440 + 90, 1440 + 125]
)
def test_the_slice_is_found_where_the_wall_clock_repeats_itself(
    logs: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """A check as of the double hour, and one a day later, whose last 24 hours begin in it."""
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__TIMEZONE", "Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    twice = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    times = [twice + timedelta(seconds=10 * i) for i in range(-2 * 360, 27 * 360)]
    texts = [FAILED if i % 7 == 0 else FILLER for i in range(len(times))]
    (logs / "laravel.log").write_text(
        "".join(
            f"[{t.astimezone(zone):%Y-%m-%d %H:%M:%S}] production.ERROR: {text}\n"
            for t, text in zip(times, texts, strict=True)
        )
    )
    as_of = twice + timedelta(minutes=minutes)
    settings = configuration.load()
    timeline = Timeline(as_of, settings.zone, settings.application_zone, as_of - timedelta(minutes=90))
    sample = laravel_log.collect(settings, timeline, present=twice + timedelta(days=2)).samples[2]
    counted = [t for t, text in zip(times, texts, strict=True) if text == FAILED and t < as_of]
    assert sample.numerator == sum(t >= as_of - timedelta(minutes=90) for t in counted)
    assert sample.detail["last_24h"] == sum(t >= as_of - timedelta(hours=24) for t in counted)


def test_an_hour_of_a_large_file(three_days: Path, small_blocks: None) -> None:
    end = int(AS_OF.timestamp()) - 20 * 3600
    size = three_days.stat().st_size
    with files.open_logs([str(three_days)]) as ([file], _):
        [part] = slices.parts([file], configuration.load().zone, end - 3600, end)
        searching = file.bytes_read
        assert size / 73 < part.size < 1.07 * size / 73  # a minute on both sides, and where a probe ended
        assert searching < 40 * 1024
        assert sum(whole for _, whole in file.pages(part.start, part.stop)) == part.size
        assert file.bytes_read - searching < 1.05 * part.size


def test_files_beside_the_slice_cost_little(logs: Path) -> None:
    (logs / "laravel.log").write_bytes(lines(1))
    for day in range(1, 9):
        first = AS_OF - timedelta(days=day + 2)
        (logs / f"laravel-{first:%Y-%m-%d}.log").write_bytes(lines(9000, FILLER, first))
    facts = check().facts
    assert sum(f["bytes_read"] for f in facts["files"][1:]) < 8 * (files.CHUNK + 64 * 1024)
    assert failures() == 1


def test_a_packed_file_of_another_time_is_not_unpacked(logs: Path) -> None:
    old, young = AS_OF - timedelta(days=9), AS_OF + timedelta(hours=1)
    (logs / "laravel.log").write_bytes(lines(1))
    before, behind, unsure = (logs / f"laravel.log.{i}.gz" for i in (2, 3, 4))
    noise = os.urandom(1 << 20).hex().encode()
    before.write_bytes(gzip.compress(lines(90, FILLER, old) + noise))
    behind.write_bytes(gzip.compress(lines(91, FILLER, young) + noise))
    unsure.write_bytes(gzip.compress(lines(92, FILLER, old) + noise + b"\n" + lines(5)))
    written = (AS_OF - timedelta(days=8)).timestamp()
    os.utime(before, (written, written))
    os.utime(
        unsure, ((AS_OF - timedelta(days=20)).timestamp(),) * 2
    )  # written before its own records: no proof
    read = {Path(f["path"]).name: f["bytes_read"] for f in check().facts["files"]}
    assert failures() == 6
    assert read["laravel.log.2.gz"] <= files.CHUNK
    assert read["laravel.log.3.gz"] <= files.CHUNK
    assert read["laravel.log.4.gz"] >= unsure.stat().st_size


def test_records_that_stand_a_little_out_of_order(logs: Path, small_blocks: None) -> None:
    end = AS_OF - timedelta(hours=30)
    before = lines(2000, FILLER, end - timedelta(hours=60), 100)
    late = lines(1, FAILED, end - timedelta(seconds=10)) * 3
    behind = lines(290, FILLER, end, 1)
    (logs / "laravel.log").write_bytes(
        before + behind + late + lines(3000, FILLER, end + timedelta(minutes=5), 10)
    )
    assert failures(as_of=end) == 3


def test_a_record_that_stands_too_early_belongs_to_the_slice_as_well(logs: Path, small_blocks: None) -> None:
    start = AS_OF - timedelta(hours=24)
    early = lines(1, FAILED, start + timedelta(seconds=5)) * 3
    before = lines(200, FILLER, start - timedelta(seconds=200))
    rest = lines(2000, FILLER, start, 43)
    (logs / "laravel.log").write_bytes(
        lines(500, FILLER, start - timedelta(hours=9), 60) + early + before + rest
    )
    assert check().samples[2].detail["last_24h"] == 3


@pytest.mark.parametrize("chunk", range(60, 400, 7))
def test_the_newest_record_is_found_wherever_blocks_end(
    logs: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(slices, "CHUNK", chunk)
    (logs / "laravel.log").write_bytes(lines(3) + b"#1 trace " * 20)
    with files.open_logs([str(logs / "laravel.log")]) as ([file], _):
        assert slices.newest(file, ZoneInfo("UTC")) == int(AS_OF.timestamp()) - 1800 + 2


@pytest.mark.parametrize("between", [b"#7 " + FAILED.encode() + b"\n", b"x" * 100 + b"\n", b"x"])
def test_a_record_of_any_length_is_stepped_over(logs: Path, small_blocks: None, between: bytes) -> None:
    """A trace of many lines and one endless line, at the start, in the middle and at the end of the slice."""
    long = between * (200_000 // len(between)) + b"\n"
    moments = [AS_OF - timedelta(hours=h) for h in (50, 25, 24, 23, 2, 0.9, 0.5, 0.1)]
    (logs / "laravel.log").write_bytes(b"".join(lines(2, FAILED, at) + long for at in moments))
    assert failures() == 6
    assert failures(as_of=AS_OF - timedelta(hours=1.5)) == 2
    assert check().facts["newest_record"] == (moments[-1] + timedelta(seconds=1)).isoformat()


@pytest.mark.parametrize("chunk", [64, 1000, 70_000])
def test_only_the_start_of_a_long_line_is_looked_at(
    logs: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(files, "CHUNK", chunk)
    late = lines(1, "Payload " + "." * 66_000 + FAILED)
    early = lines(1, FAILED + "." * 200_000)
    inside = lines(1, "Payload " + "." * 60_000 + FAILED)
    (logs / "laravel.log").write_bytes(late * 2 + early * 3 + inside * 5 + lines(7))
    assert failures() == 3 + 5 + 7


@pytest.mark.parametrize("torn", [b"", b"[2026-03-10 10:31:00] production.INFO: cut off by a cra"])
@pytest.mark.parametrize(
    "hole", [100, files.LINE - 1, files.LINE, files.CHUNK - 40, files.CHUNK, 3 * files.CHUNK + 7]
)
def test_the_first_record_behind_a_hole_counts(logs: Path, torn: bytes, hole: int) -> None:
    """A truncation or a crash leaves NULs, as many as there were bytes."""
    (logs / "laravel.log").write_bytes(lines(2) + torn + bytes(hole) + lines(4))
    assert failures() == 6
    (logs / "laravel.log").write_bytes(
        bytes(hole) + lines(1, "Payload " + "." * 66_000) + lines(4) + bytes(hole)
    )
    assert failures() == 4


def test_memory_stays_flat_with_a_line_of_a_hundred_megabytes(logs: Path) -> None:
    program = """
import resource, sys
from datetime import datetime, timedelta
from processing_time import settings
from processing_time.sources import laravel_log
from processing_time.timeline import Timeline
as_of = datetime.fromisoformat(sys.argv[1])
loaded = settings.load()
timeline = Timeline(as_of, loaded.zone, loaded.application_zone, as_of - timedelta(hours=1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
collected = laravel_log.collect(loaded, timeline, present=as_of)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before, next(s.numerator for s in collected.samples if s.metric == "phase_creation_failures"))
"""
    with (logs / "laravel.log").open("wb") as file:
        file.write(lines(3))
        for text in (FAILED, FILLER):
            file.write(lines(1, text)[:-1])
            for _ in range(100):
                file.write(b"a" * (1 << 20))
            file.write(b"\n")
        file.write(lines(4))
    result = subprocess.run(
        [sys.executable, "-c", program, AS_OF.isoformat()],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    kilobytes, counted = result.stdout.split()
    assert float(counted) == 3 + 1 + 4
    assert int(kilobytes) < 24 * 1024


# --- two processes ---


@pytest.fixture
def several_files(logs: Path) -> int:
    """Plain and packed ones of unlike sizes; gives the failures in the last day by an independent count."""
    first = AS_OF - timedelta(hours=20)
    for i, count in enumerate([900, 30, 1, 4000, 2]):
        mixed = b"".join(
            lines(1, FAILED if j % 7 == 0 else FILLER, first + timedelta(seconds=10 * j + i))
            for j in range(count)
        )
        (logs / f"laravel.log.{i}").write_bytes(mixed)
    (logs / "laravel.log.gz").write_bytes(gzip.compress(lines(11)))
    return sum(raw.read_bytes().count(FAILED.encode()) for raw in logs.glob("laravel.log.[0-9]")) + 11


def test_two_processes_count_what_one_counts(
    several_files: int, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = check(hours=24)
    started = []
    helper = scanning._helper
    monkeypatch.setattr(scanning, "_helper", lambda fds: started.append(fds) or helper(fds))
    monkeypatch.setattr(scanning, "WORTH_TWO", 1)
    monkeypatch.setattr(scanning, "_AHEAD", 0)
    monkeypatch.setattr(scanning.os, "sched_getaffinity", lambda _: {0, 1})
    together = check(hours=24)
    assert len(started) == 1
    assert len(started[0]) >= 1
    assert failures(hours=24) == several_files
    assert together.samples == alone.samples
    assert together.facts["sightings"] == alone.facts["sightings"]
    assert together.facts["bytes_read"] == pytest.approx(alone.facts["bytes_read"], rel=0.02)


def test_a_second_process_that_fails_costs_time_only(
    several_files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "WORTH_TWO", 1)
    monkeypatch.setattr(scanning, "_AHEAD", 0)
    monkeypatch.setattr(scanning.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(scanning.sys, "executable", shutil.which("false"))
    assert failures(hours=24) == several_files
