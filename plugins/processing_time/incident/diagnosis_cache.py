# SPDX-License-Identifier: MIT
"""What Redis answers to a diagnosis: whether it is there, the availability keys, and what one of them holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import redis

from processing_time.incident import cache_keys
from processing_time.incident.action import Hands, Request
from processing_time.incident.diagnosis_finding import Finding
from processing_time.model import ALL_COMPANIES, State
from processing_time.settings import Settings
from processing_time.sources import cache
from processing_time.summary import value_text

VALUE_SHOWN = 600
_HIT_RATE = "availability_cache_hit_rate"
_CLEAR = "start this form with action clear_availability_cache"
_LOOK = "check the cache driver (CACHE_STORE, config/cache.php), the database number and application.cache_key_pattern"


def findings(request: Request, hands: Hands) -> Iterator[Finding]:
    """PING, the keys, one key's TTL and size, and the value of the key that was asked for."""
    question = "Redis"
    try:
        client = hands.redis()
        begun = time.monotonic()
        client.ping()
        took = round((time.monotonic() - begun) * 1000)
        yield Finding(question, f"answers PING in {took} ms", "look at its keys", facts={"redis": True})
        question = "Availability keys"
        yield _keys(client, hands.settings)
        if request.cache_key:
            question = "The key that was asked for"
            yield _one_key(client, request.cache_key, hands.settings)
    except redis.RedisError as error:
        yield Finding(
            question,
            f"does not answer ({type(error).__name__})",
            "restart Redis, or correct the connection processing_time_redis",
            facts={"redis": False} if question == "Redis" else {},
        )


def hit_rate(_: Request, hands: Hands) -> Iterator[Finding]:
    """The hit rate as the last finished check measured it."""
    newest = hands.store.newest_finished()
    verdicts = hands.store.verdicts(newest) if newest else []
    found = next((v for v in verdicts if v.metric == _HIT_RATE and v.company_id == ALL_COMPANIES), None)
    if newest is None or found is None:
        yield Finding("Cache hit rate", "no check has measured it", "look at the keys")
        return
    at = newest.astimezone(hands.settings.zone)
    yield Finding(
        "Cache hit rate",
        f"{value_text(found, hands.settings)}, {found.state}, at the check of {at:%a %d %b %H:%M}",
        "look at Redis and its keys" if found.state.bad else "nothing to do",
        (found.reason,) if found.reason else (),
        {"hit_rate_bad": found.state.bad, "hit_rate_known": found.state is not State.UNKNOWN},
    )


def _keys(client: redis.Redis, settings: Settings) -> Finding:
    found = cache_keys.summary(client, settings)
    items: tuple[str, ...] = ()
    if found.example:
        left = "no TTL, or gone" if found.example_ttl is None else f"{found.example_ttl} s left"
        items = (f"{_printable(found.example)}: {left}, {found.example_bytes or 0} bytes",)
    then = "entries live for half a minute to a minute: fine" if found.entries else _LOOK
    if found.without_ttl:
        then = f"keys without a TTL are never renewed: {_CLEAR}"
    return Finding(
        "Availability keys",
        f"{found.entries}, {found.without_ttl} without a TTL",
        then,
        items,
        {"entries": found.entries, "without_ttl": found.without_ttl},
    )


def _one_key(client: redis.Redis, asked: str, settings: Settings) -> Finding:
    """The value of an availability key; any other key of the application stays unread."""
    question = f"The key {asked}"
    if not cache_keys.is_availability_key(settings, asked):
        return Finding(
            question,
            "is not shown: it does not match application.cache_key_pattern",
            "only availability keys can be looked at here",
        )
    key = _stored(client, asked, settings)
    value: Any = client.get(key) if key is not None and client.type(key) in (b"string", "string") else None
    if key is None or value is None:
        return Finding(question, "does not exist (any more)", "it lives for a minute at most: ask again")
    raw = value if isinstance(value, bytes) else str(value).encode()
    ttl: Any = client.ttl(key)
    left = f"{ttl} s left" if ttl >= 0 else "no TTL"
    text = _printable(raw[:VALUE_SHOWN].decode("utf-8", "replace"))
    more = f" … and {len(raw) - VALUE_SHOWN} bytes more" if len(raw) > VALUE_SHOWN else ""
    return Finding(
        question,
        f"{left}, {len(raw)} bytes",
        f"wrong or damaged? Then {_CLEAR}",
        (text + more,),
    )


def _stored(client: redis.Redis, asked: str, settings: Settings) -> Any:
    """The key as Redis has it: Laravel puts prefixes in front, which nobody types."""
    if client.exists(asked):
        return asked
    ending = asked.encode()
    for page in cache.scan(client, settings.application.cache_key_pattern):
        for key in page:
            if key.endswith(ending):
                return key
    return None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)
