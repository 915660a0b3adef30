# SPDX-License-Identifier: MIT
"""The availability cache in a Redis of its own: one key in five is an availability key, as Laravel stores them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import redis

from benchmarks.cache_redis import EVERY, SLOWER_THAN, bare_scan, fill, guide_script, slow_log, stuck_keys
from benchmarks.figures import Bench, Figure, Size, Target
from benchmarks.timing import by_turns, middle, ratio
from demo.services import Redis
from processing_time import settings as settings_module
from processing_time.incident import cache_keys
from processing_time.settings import Settings
from processing_time.sources import cache
from processing_time.timeline import Timeline

PART = "cache"
GUIDE_PATTERN = "week_availability:*:pt_*"
AS_OF = datetime(2026, 3, 6, 19, tzinfo=UTC)
RUNS = {Size.SMALL: 3, Size.FULL: 7}
KEYS = {Size.SMALL: 50_000, Size.FULL: 1_000_000}
AT_MOST = Target(1.15, "at most")


def measure(bench: Bench) -> list[Figure]:
    """Fill a Redis, count and remove the availability keys, each beside what one would do without the monitor."""
    settings = settings_module.load()
    with Redis(bench.work / PART) as server, contextlib.closing(server.client()) as client:
        bench.say(f"{KEYS[bench.size]:,} keys into Redis")
        fill(server, range(KEYS[bench.size]))
        _check(server, client, settings, bench)
        return [
            *_scans(server, client, settings, bench),
            *_longest(server, client, settings, bench),
            *(_peers(server, client, settings, bench) if bench.peers else ()),
            *_deletes(server, client, settings, bench),
        ]


def _scans(server: Redis, client: redis.Redis, settings: Settings, bench: Bench) -> Iterator[Figure]:
    """Counting, against the least that a walk in small steps can cost."""
    of = f"{KEYS[bench.size]:,} keys"
    pattern = settings.application.cache_key_pattern
    timeline = Timeline(AS_OF, settings.zone, settings.application_zone, AS_OF)

    def collect() -> None:
        cache.collect(client, settings, timeline)

    bench.say("counting, where every key has a TTL")
    sides: dict[str, Callable[[], Any]] = {
        "bare": lambda: bare_scan(server.port, pattern),
        "scan": lambda: sum(map(len, cache.scan(client, pattern))),
        "collect": collect,
    }
    runs = by_turns(RUNS[bench.size], sides)
    yield middle(PART, "bare_scan", f"bare SCAN COUNT 1000 loop in hiredis, {of}", "s", runs["bare"])
    yield ratio(PART, "scan", "the monitor's scan against the bare loop", runs["scan"], runs["bare"], AT_MOST)
    yield middle(
        PART, "collect_seconds", f"collect: keys and those without a TTL, {of}", "s", runs["collect"]
    )
    yield ratio(
        PART,
        "collect",
        "collect against the bare loop, where every key has a TTL",
        runs["collect"],
        runs["bare"],
        AT_MOST,
        note="the server's own count says that no key is without a TTL, so none is asked",
    )
    for stuck in stuck_keys(KEYS[bench.size]):
        client.persist(stuck)
    bench.say("counting, where some keys have no TTL")
    runs = by_turns(RUNS[bench.size], {"bare": sides["bare"], "collect": collect})
    yield ratio(
        PART,
        "collect_stuck",
        "collect against the bare loop, where some keys have no TTL",
        runs["collect"],
        runs["bare"],
        AT_MOST,
        note="each matching key is asked for its TTL; that alone keeps the server busy for a third of a bare walk",
    )


def _longest(server: Redis, client: redis.Redis, settings: Settings, bench: Bench) -> Iterator[Figure]:
    """The longest command of counting and removing, as the server's own slow log has it; nothing is timed meanwhile.

    Each is done several times: where the machine takes the core away from Redis, that command's time holds the waiting.
    """
    bench.say("the longest command, from the slow log")
    missing = range(0, KEYS[bench.size], EVERY)
    counting, removing = [], []
    with slow_log(client) as log:
        for _ in range(RUNS[bench.size]):
            cache_keys.summary(client, settings)
            counting.append(_slowest(log()))
            cache_keys.unlink(client, settings)
            removing.append(_slowest(log()))
            fill(server, missing)
            log()
    for key, title, runs in (
        ("longest_scan", "longest command of counting", counting),
        ("longest_unlink", "longest command of removing", removing),
    ):
        figure = middle(PART, key, title, "ms", tuple(milliseconds for _, milliseconds in runs))
        names = ", ".join(sorted({name for name, _ in runs}))
        yield replace(
            figure, target=Target(5, "at most"), note=f"{names}; the middle of {len(runs)} walks' longest"
        )


def _slowest(entries: list[tuple[str, int]]) -> tuple[str, float]:
    """Name and milliseconds of the longest command."""
    name, microseconds = max(entries, key=lambda entry: entry[1], default=("none", SLOWER_THAN))
    return name, microseconds / 1000


def _deletes(server: Redis, client: redis.Redis, settings: Settings, bench: Bench) -> Iterator[Figure]:
    """Removing, against the guide's pipe."""
    removed = KEYS[bench.size] // EVERY
    missing = range(0, KEYS[bench.size], EVERY)
    pattern = settings.application.cache_key_pattern
    bench.say(f"removing {removed:,} keys")
    cut: list[bool] = []

    def ours() -> None:
        assert cache_keys.unlink(client, settings) == removed

    def guide() -> None:
        cut.append(not guide_script("clear_cache.sh", server.port, pattern, bench.limit))

    runs = by_turns(3, {"guide": guide, "ours": ours}, before=lambda: fill(server, missing))
    figure = ratio(
        PART,
        "delete",
        "times faster than the guide's pipe at removing them",
        runs["guide"],
        runs["ours"],
        Target(4, "at least"),
        note="redis-cli --scan … | xargs redis-cli DEL",
    )
    yield middle(PART, "unlink", f"UNLINK of {removed:,} of {KEYS[bench.size]:,} keys", "s", runs["ours"])
    yield middle(PART, "guide_delete", "the same by the guide's pipe", "s", runs["guide"])
    yield replace(figure, at_least=any(cut))


def _peers(server: Redis, client: redis.Redis, settings: Settings, bench: Bench) -> Iterator[Figure]:
    """Other ways to count, and how long each keeps everybody else waiting."""
    pattern = settings.application.cache_key_pattern
    lua = (
        "local cursor, n = '0', 0 repeat"
        " local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)"
        " cursor = page[1] n = n + #page[2] until cursor == '0' return n"
    )
    sides: dict[str, tuple[str, Callable[[], Any]]] = {
        "redis_cli": (
            "redis-cli --scan (the guide)",
            lambda: guide_script("cache_entries.sh", server.port, pattern, bench.limit),
        ),
        "keys": ("KEYS", lambda: client.keys(pattern)),
        "lua": ("SCAN inside Lua", lambda: client.eval(lua, 0, pattern)),
    }
    for key, (title, count) in sides.items():
        bench.say(f"counting by {title}")
        with slow_log(client) as log:
            start = time.perf_counter()
            cut = count() == ""
            seconds = time.perf_counter() - start
            longest = max((entry[1] for entry in log()), default=SLOWER_THAN) / 1000
        note = f"everybody else waits for up to {longest:.3g} ms"
        yield Figure(PART, f"peer_{key}", f"counting by {title}", seconds, "s", at_least=cut, note=note)


def _check(server: Redis, client: redis.Redis, settings: Settings, bench: Bench) -> None:
    """Every way gives the same number, and the guide's pattern finds nothing behind Laravel's prefix."""
    expected = KEYS[bench.size] // EVERY
    pattern = settings.application.cache_key_pattern
    counts = {
        "the bare loop": bare_scan(server.port, pattern),
        "the monitor": cache_keys.summary(client, settings).entries,
    }
    if bench.size is Size.SMALL:
        counts["redis-cli --scan"] = int(guide_script("cache_entries.sh", server.port, pattern, bench.limit))
        counts["the guide's pattern, without what Laravel prefixes"] = expected + int(
            guide_script("cache_entries.sh", server.port, GUIDE_PATTERN, bench.limit)
        )
    if wrong := {who: count for who, count in counts.items() if count != expected}:
        raise AssertionError(f"there are {expected} keys, but: {wrong}")
