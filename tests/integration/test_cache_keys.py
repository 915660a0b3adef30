# SPDX-License-Identifier: MIT
"""Removing availability keys from a real Redis: those, and no other key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from processing_time import settings as settings_module
from processing_time.incident import cache_keys
from processing_time.incident.action import Hands, Outcome, Refused, Request
from processing_time.incident.availability_cache import ClearAvailabilityCache
from processing_time.incident.cache_keys import Summary
from processing_time.settings import Settings
from processing_time.sources import cache

PREFIX = "salon_database_salon_cache_:"
KEPT = {
    "week_availability:1:7:2026-03-30": "has no pt_ part",
    "xweek_availability-1:7:pt_1": "is another kind of key",
    f"{PREFIX}sessions:week:pt_1": "is a session",
}


@pytest.fixture
def client(redis_server: Any) -> Iterator[redis.Redis]:
    with redis_server.client(db=2) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_module.load()


def key(service: object, n: int = 1, team: int = 1) -> str:
    return f"{PREFIX}week_availability:{team}:{service}:2026-03-{n:02d}:pt_{n % 2}"


def fill(client: redis.Redis, keys: list[str], ttl: int | None = 60) -> None:
    pipeline = client.pipeline()
    for name in keys:
        pipeline.set(name, "[]", ex=ttl)
    pipeline.execute()


def left(client: redis.Redis) -> set[str]:
    return {name.decode() for name in client.scan_iter(count=1000)}


def test_only_availability_keys_go_and_they_are_counted(client: redis.Redis, settings: Settings) -> None:
    fill(client, [key(service, n) for service in range(100) for n in range(1, 29)])
    fill(client, [*KEPT], None)
    client.config_resetstat()

    assert cache_keys.unlink(client, settings) == 2800
    assert left(client) == KEPT.keys()
    used = {name: stat["calls"] for name, stat in client.info("commandstats").items()}
    assert used["cmdstat_unlink"] == 6, "500 keys a command"
    assert not used.keys() & {"cmdstat_del", "cmdstat_keys", "cmdstat_eval", "cmdstat_flushdb"}
    assert cache_keys.unlink(client, settings) == 0


@pytest.mark.parametrize("service", ["7", "0b6c4b0e-8d7e-4c43-9a51-0e5f2b7c9d10", "*", "7:*", "[7]", "\\7"])
def test_only_the_keys_of_the_services_that_are_named(
    service: str, client: redis.Redis, settings: Settings
) -> None:
    """What a person typed is compared, not expanded."""
    fill(client, [key(7), key(77), key(8, team=7), key("0b6c4b0e-8d7e-4c43-9a51-0e5f2b7c9d10")])
    before = left(client)
    gone = {key(service)} & before
    assert cache_keys.summary(client, settings, [service]).entries == len(gone)
    assert cache_keys.unlink(client, settings, [service]) == len(gone)
    assert left(client) == before - gone


def test_no_service_is_no_key(client: redis.Redis, settings: Settings) -> None:
    fill(client, [key(7)])
    assert cache_keys.unlink(client, settings, []) == 0
    assert left(client) == {key(7)}


def test_those_that_never_expire_and_not_more_than_asked_for(client: redis.Redis, settings: Settings) -> None:
    fill(client, [key(7, n) for n in range(1, 29)])
    stuck = [key(8, n) for n in range(1, 29)]
    fill(client, [*stuck, *KEPT], None)
    assert cache_keys.unlink(client, settings, only_without_ttl=True, at_most=10, batch=3) == 10
    assert len(left(client) & set(stuck)) == 18
    assert cache_keys.unlink(client, settings, only_without_ttl=True) == 18
    assert left(client) == {key(7, n) for n in range(1, 29)} | KEPT.keys()
    assert cache_keys.unlink(client, settings, ["9"], only_without_ttl=True) == 0


def test_what_the_server_gives_beyond_the_pattern_is_not_removed(
    client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, [key(7), *KEPT])
    everything = [name.encode() for name in left(client)]
    monkeypatch.setattr(cache_keys.cache, "scan", lambda client, pattern: iter([everything]))
    assert cache_keys.unlink(client, settings) == 1
    assert left(client) == KEPT.keys()


def test_a_summary_has_an_example_to_look_at(client: redis.Redis, settings: Settings) -> None:
    assert cache_keys.summary(client, settings) == Summary(0, 0)
    fill(client, [key(7)], 45)
    found = cache_keys.summary(client, settings)
    assert (found.entries, found.without_ttl, found.example) == (1, 0, key(7))
    assert found.example_ttl in (44, 45)
    assert found.example_bytes is not None
    assert found.example_bytes > 0
    client.persist(key(7))
    assert cache_keys.summary(client, settings).without_ttl == 1
    assert cache_keys.summary(client, settings).example_ttl is None


def test_a_client_that_decodes_its_answers(
    client: redis.Redis, redis_server: Any, settings: Settings
) -> None:
    fill(client, [key(7), *KEPT])
    with redis.Redis(port=redis_server.port, db=2, decode_responses=True) as decoding:
        assert cache_keys.summary(decoding, settings, ["7"]).example == key(7)
        assert cache_keys.unlink(decoding, settings, ["7"]) == 1
    assert left(client) == KEPT.keys()


@pytest.mark.parametrize(("name", "is_one"), [(key(7), True), *((name, False) for name in KEPT)])
def test_which_keys_may_be_shown(name: str, is_one: bool, settings: Settings) -> None:
    assert cache_keys.is_availability_key(settings, name) is is_one


CHARACTERS = "ab-]^[\\*?"
WORDS = ["".join(letters) for size in (1, 2, 3) for letters in itertools.product(CHARACTERS, repeat=size)]


@pytest.fixture(scope="module")
def words(redis_server: Any) -> Iterator[redis.Redis]:
    with redis_server.client(db=3) as client:
        fill(client, WORDS)
        yield client
        client.flushdb()


@given_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(pattern="[a-]b]")
@example(pattern="[^]")
@example(pattern="[]")
@example(pattern="a\\")
@example(pattern="[b-a]?")
@given(pattern=st.text(CHARACTERS, min_size=1, max_size=6))
def test_a_pattern_means_here_what_it_means_to_redis(words: redis.Redis, pattern: str) -> None:
    matches = cache_keys._matcher(pattern)
    by_redis = {name.decode() for name in words.scan_iter(match=pattern, count=5000)}
    assert {word for word in WORDS if matches(word.encode())} == by_redis


# --- the action -----------------------------------------------------------------------------------------------------


def hands(client: Any, settings: Settings, approve_above: int = 2) -> Hands:
    """Hands that reach this Redis and nothing else; more than so many keys are approved by a person."""
    incident = settings.incident.model_copy(update={"approve_above": approve_above})

    def nothing() -> Any:
        raise AssertionError("this action needs no such thing")

    return Hands(
        settings=settings.model_copy(update={"incident": incident}),
        application=nothing,
        write=nothing,
        redis=lambda: client,
        artisan=nothing,
        calcom=nothing,
        store=None,  # type: ignore[arg-type]
    )


CLEAR = Request("clear_availability_cache", dry_run=False, as_of=datetime(2026, 3, 10, 12, tzinfo=UTC))


def test_what_nobody_approved_stays_below_the_number_that_has_to_be(
    client: redis.Redis, settings: Settings
) -> None:
    action = ClearAvailabilityCache()
    fill(client, [key(1), key(2)])
    plan = action.plan(CLEAR, hands(client, settings))
    assert (plan.counts, plan.needs_approval) == ({"keys": 2}, False)
    fill(client, [key(3)])
    with pytest.raises(Refused, match=r"there are 3 of them by now.*more than 2 .incident.approve_above"):
        action.act(CLEAR, hands(client, settings), plan)
    assert left(client) == {key(1), key(2), key(3)}
    approved = action.plan(CLEAR, hands(client, settings))
    assert approved.needs_approval
    fill(client, [key(4)])
    assert action.act(CLEAR, hands(client, settings), approved).detail == {"keys": 4}


def test_a_server_that_is_gone_in_the_middle_is_no_refusal(
    client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = ClearAvailabilityCache()
    fill(client, [key(service, n) for service in range(25) for n in range(1, 29)])
    plan = action.plan(CLEAR, hands(client, settings))
    answers = cache.answers

    def cut_off(client: Any, commands: Any) -> Any:
        first, *others = commands
        if first[0][0] != "UNLINK":
            return answers(client, [first, *others])
        list(answers(client, [first]))
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(cache, "answers", cut_off)
    result = action.act(CLEAR, hands(client, settings), plan)
    assert len(left(client)) == 200
    assert result.outcome is Outcome.FAILED
    assert result.lines[0].startswith("It broke off: Redis does not do it (ConnectionError)")
