# SPDX-License-Identifier: MIT
"""The availability keys of a real Redis: counted once each, with any prefix, without a blocking command."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis

from processing_time import settings as settings_module
from processing_time.model import SourceUnavailable
from processing_time.settings import Settings
from processing_time.sources import cache
from processing_time.timeline import Timeline

AS_OF = datetime(2026, 3, 29, 10, tzinfo=UTC)
TIMELINE = Timeline(AS_OF, ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), AS_OF)


@pytest.fixture
def client(redis_server: Any) -> Iterator[redis.Redis]:
    with redis_server.client(db=1) as client:
        client.flushdb()
        client.config_resetstat()
        yield client
        client.flushdb()


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_module.load()


def with_pattern(settings: Settings, pattern: str) -> Settings:
    application = settings.application.model_copy(update={"cache_key_pattern": pattern})
    return settings.model_copy(update={"application": application})


def fill(client: redis.Redis, keys: list[str], ttl: int | None) -> None:
    pipeline = client.pipeline()
    for key in keys:
        pipeline.set(key, "[]", ex=ttl)
    pipeline.execute()


def commands(client: redis.Redis) -> dict[str, int]:
    return {
        name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()
    }


def test_counts_the_matching_keys_whatever_their_prefix(client: redis.Redis, settings: Settings) -> None:
    fill(client, [f"week_availability:1:uuid:2026-03-{day}:pt_1" for day in range(10, 20)], 60)
    fill(client, [f"salon_database_salon_cache_:week_availability:1:{n}:x:pt_0" for n in range(2500)], 60)
    fill(client, ["week_availability:1:uuid:2026-03-30:pt_1", "a:week_availability:2:b:c:pt_0"], None)
    fill(
        client, ["week_availability:1:uuid:2026-03-30", "sessions:pt_1", "month_availability:1:a:pt_1"], None
    )

    found = cache.collect(client, settings, TIMELINE)

    (sample,) = found.samples
    assert sample.metric == "cached_availability_entries"
    assert (sample.window.start, sample.window.end) == (AS_OF, AS_OF)
    assert (sample.value, sample.numerator, sample.denominator) == (2512, 2512, None)
    assert sample.detail == {"without_ttl": 2}
    assert found.facts == {"entries": 2512}


def test_the_pattern_is_used_as_it_is_given(client: redis.Redis, settings: Settings) -> None:
    fill(client, ["app_cache_:week_availability:1:a:2026-03-29", "week_availability:1:a:2026-03-29:pt_1"], 30)
    found = cache.collect(client, with_pattern(settings, "*_cache_:week_availability:*"), TIMELINE)
    assert found.facts["entries"] == 1


def test_an_empty_cache_is_nought_not_an_error(client: redis.Redis, settings: Settings) -> None:
    (sample,) = cache.collect(client, settings, TIMELINE).samples
    assert (sample.value, sample.detail, sample.loss) == (0, {"without_ttl": 0}, None)


def test_a_client_that_decodes_its_answers(
    client: redis.Redis, redis_server: Any, settings: Settings
) -> None:
    fill(client, [f"week_availability:{n}:a:b:pt_1" for n in range(1500)], None)
    with redis.Redis(port=redis_server.port, db=1, decode_responses=True) as decoding:
        (sample,) = cache.collect(decoding, settings, TIMELINE).samples
    assert (sample.value, sample.detail["without_ttl"]) == (1500, 1500)


def test_a_key_that_scan_gives_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis gives keys again while it resizes its table; a random walk with repetitions stands in for that."""
    keys = [f"week_availability:{n}:pt_1".encode() for n in range(5000)]
    walk = keys + random.Random(7).sample(keys, 2000)
    random.Random(8).shuffle(walk)
    pages = [walk[n : n + 1000] for n in range(0, len(walk), 1000)]
    pages[0].append(pages[0][0])
    monkeypatch.setattr(cache, "_pages", lambda client, pattern: iter(pages))

    found = list(itertools.chain.from_iterable(cache.scan(redis.Redis(), "*")))
    assert sorted(found) == sorted(keys)


def test_no_command_walks_the_whole_database(client: redis.Redis, settings: Settings) -> None:
    for start in range(0, 20_000, 5000):
        fill(client, [f"other:{n}" for n in range(start, start + 5000)], None)
    fill(client, [f"week_availability:{n}:pt_1" for n in range(3000)], 60)
    client.config_resetstat()

    cache.collect(client, settings, TIMELINE)

    used = commands(client)
    assert used.keys() - {"config|resetstat", "client|setinfo", "hello", "select"} == {"info", "scan", "ttl"}
    # 23,000 keys in pages of about 1,000 buckets; the table has 32,768, and twice that while it is resized.
    assert 23 <= used["scan"] <= 100
    assert used["ttl"] == 3000


def test_no_key_is_asked_for_its_ttl_where_the_server_says_that_all_expire(
    client: redis.Redis, settings: Settings
) -> None:
    fill(client, [f"week_availability:{n}:pt_1" for n in range(3000)], 60)
    client.config_resetstat()
    (sample,) = cache.collect(client, settings, TIMELINE).samples
    assert (sample.value, sample.detail) == (3000, {"without_ttl": 0})
    assert "ttl" not in commands(client)

    fill(client, ["week_availability:7:pt_1"], None)
    (sample,) = cache.collect(client, settings, TIMELINE).samples
    assert (sample.value, sample.detail) == (3000, {"without_ttl": 1})


def test_a_user_who_may_not_ask_for_the_server_s_own_count(
    client: redis.Redis, redis_server: Any, settings: Settings
) -> None:
    fill(client, ["week_availability:1:pt_1"], None)
    client.acl_setuser("reader", enabled=True, nopass=True, commands=["+scan", "+ttl", "+select"], keys=["*"])
    try:
        with redis.Redis(port=redis_server.port, db=1, username="reader", password="any") as reader:
            (sample,) = cache.collect(reader, settings, TIMELINE).samples
    finally:
        client.acl_deluser("reader")
    assert (sample.value, sample.detail) == (1, {"without_ttl": 1})


def test_a_walk_that_is_left_early_leaves_no_answer_behind(client: redis.Redis) -> None:
    fill(client, [f"week_availability:{n}:pt_1" for n in range(5000)], 60)
    assert next(cache.scan(client, "*")), "the next page is under way now"
    assert client.get("week_availability:1:pt_1") == b"[]"
    assert len(list(itertools.chain.from_iterable(cache.scan(client, "*")))) == 5000


def test_a_batch_is_sent_before_the_answers_to_the_one_before_it_are_read(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name, word in (("send_packed_command", "send"), ("read_response", "read")):
        real = getattr(redis.Connection, name)
        monkeypatch.setattr(
            redis.Connection,
            name,
            lambda *args, _real=real, _word=word: (done.append(_word), _real(*args))[1],
        )
    given = list(cache.answers(client, ([("SET", "n", n), ("INCR", "n")] for n in range(3))))
    assert given == [[b"OK", 1], [b"OK", 2], [b"OK", 3]]
    assert done == ["send", "send", "read", "read", "send", *["read"] * 4]
    assert list(cache.answers(client, [])) == []


def test_an_answer_that_is_a_fault_leaves_none_behind(client: redis.Redis) -> None:
    client.set("text", "a")
    with pytest.raises(redis.ResponseError):
        list(cache.answers(client, [[("INCR", "text"), ("GET", "text")], [("GET", "text")]]))
    assert client.ping() is True


def test_a_disabled_metric_gives_no_sample_but_the_summary_s_fact(
    client: redis.Redis, settings: Settings
) -> None:
    fill(client, ["week_availability:1:pt_1"], 60)
    metric = settings.metrics[cache.METRIC].model_copy(update={"enabled": False})
    quiet = settings.model_copy(update={"metrics": {**settings.metrics, cache.METRIC: metric}})
    found = cache.collect(client, quiet, TIMELINE)
    assert (found.samples, found.facts) == ((), {"entries": 1})


def test_a_server_that_is_not_there(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening: refused for certain
        client = redis.Redis(port=taken.getsockname()[1], password="geheim", socket_timeout=5)
        with pytest.raises(SourceUnavailable) as unavailable:
            cache.collect(client, settings, TIMELINE)
    sentence = str(unavailable.value)
    assert "processing_time_redis" in sentence
    assert "geheim" not in sentence
    assert "127.0.0.1" not in sentence


def test_a_user_without_the_rights(client: redis.Redis, redis_server: Any, settings: Settings) -> None:
    client.acl_setuser("monitor", enabled=True, passwords=["+geheim"], commands=["+ping"], keys=["*"])
    try:
        for password in ("geheim", "falsch"):
            with redis.Redis(port=redis_server.port, db=1, username="monitor", password=password) as denied:
                with pytest.raises(
                    SourceUnavailable, match=r"refuses access.*processing_time_redis"
                ) as refused:
                    cache.collect(denied, settings, TIMELINE)
                assert password not in str(refused.value)
    finally:
        client.acl_deluser("monitor")
