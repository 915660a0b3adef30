# SPDX-License-Identifier: MIT
"""The log as a source: a whole file and its last hour, beside what one would read it with instead; and the memory.

Every side counts the same file, and what each found is compared with what the file was made of.
"""

from __future__ import annotations

import mmap
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks import log_memory, log_peers
from benchmarks.figures import Bench, Figure, Size, Target
from benchmarks.log_data import END, Log, make
from benchmarks.timing import Runs, by_turns, middle, ratio
from processing_time import settings as settings_module
from processing_time.model import Collected
from processing_time.settings import Settings
from processing_time.sources import laravel_log
from processing_time.sources.laravel_log.files import open_logs
from processing_time.sources.laravel_log.scanning import Plan, Tally, scan
from processing_time.sources.laravel_log.slices import parts
from processing_time.timeline import Timeline

PART = "log"
MIB = 1 << 20
SIZES = {Size.SMALL: (8, 16), Size.FULL: (256, 512, 1024)}
RUNS = {Size.SMALL: 2, Size.FULL: 7}
HOUR = timedelta(hours=1)
FLAT = Target(64, "at most")
ROTATED = {Size.SMALL: 3, Size.FULL: 20}
"""Files of a GiB each, most of which is a hole on the disk that reads as zeros: a line that does not end."""
LONG = {Size.SMALL: 10, Size.FULL: 100}
"""MiB of one line."""


def measure(bench: Bench) -> list[Figure]:
    """Write the logs, and read them."""
    folder = bench.work / PART
    logs = {}
    for size in SIZES[bench.size]:
        bench.say(f"a log of {size} MiB")
        logs[size] = make(folder / str(size) / "storage" / "logs" / "laravel.log", size * MIB)
    figures = [figure for size, log in logs.items() for figure in _reading(size, log, bench)]
    return figures + list(_memory(bench, folder, max(logs.values(), key=lambda log: log.path.stat().st_size)))


def _reading(size: int, log: Log, bench: Bench) -> Iterator[Figure]:
    """One size; the ratios of the largest have targets."""
    bench.say(f"reading {size} MiB")
    application = log.path.parents[2]
    settings = settings_module.load({"application": {"logs": [str(log.path)], "timezone": "UTC"}})
    _compare(log, _whole(settings, log), application, bench)
    sides: dict[str, Callable[[], Any]] = {
        "rg": lambda: log_peers.rg_count(log.path),
        "whole": lambda: _whole(settings, log),
        "last_hour": lambda: _last_hour(settings),
        "guide": lambda: log_peers.guide(application),
        "rg_mawk": lambda: log_peers.rg_mawk(log.path),
    }
    for absent in log_peers.missing(["rg", "mawk"]):
        bench.say(f"{absent} is not installed: nothing to compare with")
        sides = {side: run for side, run in sides.items() if absent not in side}
    runs = by_turns(RUNS[bench.size], sides)
    titles = {
        "rg": "rg -c with one combined pattern: the lines, nothing counted for itself",
        "whole": "the monitor, all metrics and rules",
        "last_hour": "the monitor, all metrics and rules, the last hour only",
        "guide": "the guide's seven greps",
        "rg_mawk": "rg into mawk, the same answers",
    }
    yield from (
        middle(PART, f"{side}_{size}", f"{titles[side]}; {size} MiB", "s", of_side)
        for side, of_side in runs.items()
    )
    if size == max(SIZES[bench.size]):
        yield from _ratios(size, runs)
        yield _bytes_read(settings, log)
        yield from _slow(size, log, bench)


def _ratios(size: int, runs: Runs) -> Iterator[Figure]:
    of = f"{size} MiB of log"
    if "rg" in runs:
        yield ratio(
            PART, "whole_by_rg", f"all log metrics and rules, {of}, against rg -c", runs["whole"], runs["rg"],
            Target(1.3, "at most"), "one collect(), two processes; in a process that has its modules, as a task has",
        )  # fmt: skip
    yield ratio(
        PART, "guide_by_last_hour", f"the guide's seven greps, {of}, against the last hour of it",
        runs["guide"], runs["last_hour"], Target(40, "at least"),
        "the reader of a slice with every pattern; a check itself reads 24 hours, as it states what happened in them",
    )  # fmt: skip


def _bytes_read(settings: Settings, log: Log) -> Figure:
    """What the last hour's reading took from the file, against the bytes that the hour has."""
    with log.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        first = max(log.start, END - HOUR)
        hour = len(content) - content.find(f"[{first:%Y-%m-%d %H:%M:%S}]".encode())
    _, read = _last_hour(settings)
    title = f"bytes read for the last hour, against the {hour / MIB:.0f} MiB that it has"
    return Figure(PART, "bytes_by_slice", title, read / hour, "×", target=Target(1.05, "at most"))


def _slow(size: int, log: Log, bench: Bench) -> Iterator[Figure]:
    """Once is enough."""
    sides: dict[str, Callable[[], Any]] = {"python": lambda: log_peers.python_lines(log.path)}
    titles = {"python": "Python, line by line", "mtail": "mtail, one shot"}
    if bench.peers and log_peers.missing(["mtail"]):
        bench.say("mtail is not installed")
    elif bench.peers:
        sides["mtail"] = lambda: log_peers.mtail(log.path, bench.work / PART, bench.limit)
    bench.say("; ".join(titles[side] for side in sides))
    for side, (seconds,) in by_turns(1, sides).items():
        title, cut_off = f"{titles[side]}; {size} MiB", seconds >= bench.limit
        yield Figure(PART, side, title, seconds, "s", (seconds,), at_least=cut_off)


def _whole(settings: Settings, log: Log) -> Collected:
    timeline = Timeline(END, settings.zone, settings.application_zone, log.start)
    return laravel_log.collect(settings, timeline, present=END)


def _last_hour(settings: Settings) -> tuple[list[Tally], int]:
    """Every mark in the last hour, and the bytes that were read for it."""
    marks = tuple(dict.fromkeys(laravel_log.marks(settings)))
    end = int(END.timestamp())
    start = end - 3600
    plan = Plan(
        marks, "UTC", start, end, edges=(start,), series_from=(start,) * len(marks), numbers_from=start
    )
    with open_logs(settings.application.logs) as (files, _):
        tallies = scan(plan, parts(files, ZoneInfo("UTC"), start, end))
        return tallies, sum(file.bytes_read for file in files)


def _compare(log: Log, collected: Collected, application: Path, bench: Bench) -> None:
    """Everybody's numbers against those the file was made of; where the guide's differ, by what."""
    made = log.counts
    success = made["success"] + made["success_mentions_error"]
    expected = {
        kind: made[kind]
        for kind in ("hit", "miss", "created", "failed", "sync_failed", "disabled", "critical")
    }
    expected |= {"success": success, "duration": round(log.duration_total)}
    assert _found(collected) == expected, "the monitor"
    if not log_peers.missing(["rg", "mawk"]):
        assert log_peers.rg_mawk(log.path) == Counter(expected), "rg | mawk"
    assert log_peers.python_lines(log.path) == Counter(expected), "Python, line by line"
    assert log_peers.guide(application) == {
        "Phase creation time": "",  # it looks for duration:, the observer writes "duration_ms":
        "Cache Hits": str(made["hit"]),
        "Cache Misses (Cal.com API calls)": str(made["miss"]),
        "Sync successes": str(success),
        "Sync failures": str(made["sync_failed"] + made["success_mentions_error"]),  # "error":null is none
        "Recent Errors": str(2 * made["failed"]),  # each of these has a trace that names itself
        "Observer disabled": str(made["disabled"]),
    }, "the guide"
    bench.say(
        f"the guide's fourth pattern matches {log_peers.fourth_pattern(application):,} lines, "
        f"of which {made['sync_failed']:,} are failures"
    )


def _found(collected: Collected) -> dict[str, float]:
    by = {sample.metric: sample for sample in collected.samples}
    failures = by["calcom_sync_failures"]
    return {
        "hit": by["availability_cache_hit_rate"].detail["hits"],
        "miss": by["availability_cache_hit_rate"].detail["misses"],
        "created": by["phase_creation_time"].detail["records"],
        "failed": by["phase_creation_failures"].numerator,
        "sync_failed": failures.numerator,
        "disabled": by["observer_disabled"].numerator,
        "critical": collected.facts["critical_records_today"],
        "success": failures.detail["successes"],
        "duration": round(by["phase_creation_time"].numerator),
    }


def _memory(bench: Bench, folder: Path, whole: Log) -> Iterator[Figure]:
    bench.say("memory")
    note = "peak of both processes over one with the same modules"
    day = timedelta(hours=24)
    mib = whole.path.stat().st_size // MIB
    yield _flat("memory_whole", f"memory, {mib} MiB of log", str(whole.path), day, note)
    long = _long_line(folder / f"long-{LONG[bench.size]}" / "laravel.log", LONG[bench.size] * MIB)
    yield _flat("memory_line", f"memory, a line of {LONG[bench.size]} MiB", str(long), day, note)
    bench.say("rotated logs")
    rotated = _rotated(folder / f"rotated-{ROTATED[bench.size]}", ROTATED[bench.size])
    gib = ROTATED[bench.size]
    yield _flat("memory_day", f"memory, {gib} GiB of rotated logs, the last day", rotated, day, note)
    longest = min(gib * day, settings_module.load().schedule.max_catch_up)
    title = f"memory, {gib} GiB of rotated logs, {longest.days} days of them"
    yield _flat("memory_catch_up", title, rotated, longest, f"{note}; the longest stretch that a check reads")


def _flat(key: str, title: str, pattern: str, since: timedelta, note: str) -> Figure:
    return Figure(PART, key, title, log_memory.of_reading(pattern, since), "MiB", target=FLAT, note=note)


def _long_line(path: Path, size: int) -> Path:
    """A record whose context does not end, between others."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        stamp = f"[{END - HOUR:%Y-%m-%d %H:%M:%S}] production"
        record = f"{stamp}.ERROR: AppointmentPhaseObserver: Failed".encode()
        path.write_bytes(
            b"%b\n%b {%b\n%b\n" % (record, record, b"AppointmentPhaseObserver: " * (size // 26), record)
        )
    return path


def _rotated(folder: Path, days: int) -> str:
    """A log a day, and the glob that finds them. Of each GiB only the first 64 MiB and the last record are written."""
    for day in range(days):
        path = folder / (f"laravel.log.{day}" if day else "laravel.log")
        if not path.exists():
            end = END - timedelta(days=day, minutes=1)
            made = make(folder / "made" / path.name, 64 * MIB, end)
            with made.path.open("r+b") as file:
                file.seek((1 << 30) - 100)
                file.write(f"\n[{end:%Y-%m-%d %H:%M:%S}] production.INFO: The end\n".encode())
            made.path.rename(path)
    shutil.rmtree(folder / "made", ignore_errors=True)
    return f"{folder}/laravel.log*"
