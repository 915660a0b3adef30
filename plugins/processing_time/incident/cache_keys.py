# SPDX-License-Identifier: MIT
"""The availability keys of the application's cache, looked at and removed: never a key that is not one of them.

The server is asked for ``application.cache_key_pattern`` only; what a person typed is compared with the keys here and never
becomes part of a pattern. What comes back is held against the pattern once more before it is removed.

A key holds a team and a service, no company (``…week_availability:{team}:{service}:{date}:pt_{0|1}``, with Laravel's prefixes in
front): the keys of a company are those of its services, whose ids the database knows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import redis

from processing_time.settings import Settings
from processing_time.sources import cache

BATCH = 500
_SERVICE = re.compile(rb"week_availability:[^:]*:([^:]+)")


@dataclass(frozen=True, slots=True)
class Summary:
    """What is there.

    :param entries: the keys, each once.
    :param without_ttl: those that would stay for ever.
    :param example: one of them, if there are any; it may have expired since.
    :param example_ttl: seconds that the example has left; None when it stays for ever, or has gone.
    :param example_bytes: the memory that it takes; None when it has gone.
    """

    entries: int
    without_ttl: int
    example: str | None = None
    example_ttl: int | None = None
    example_bytes: int | None = None


def summary(client: redis.Redis, settings: Settings, services: Collection[str] | None = None) -> Summary:
    """Look at the availability keys; changes nothing.

    :param services: ids of services, as the keys hold them (integers or UUIDs, as text); None: all of them.
    :raises redis.RedisError: when Redis cannot be reached or refuses the commands.
    """
    pages = _pages(client, settings, services)
    first = next(pages, None)
    if first is None:
        return Summary(0, 0)
    entries, without_ttl = cache.count(client, itertools.chain([first], pages))
    ttl: Any = client.ttl(first[0])
    size: Any = client.memory_usage(first[0])
    return Summary(entries, without_ttl, first[0].decode("utf-8", "replace"), ttl if ttl >= 0 else None, size)


def unlink(
    client: redis.Redis,
    settings: Settings,
    services: Collection[str] | None = None,
    *,
    only_without_ttl: bool = False,
    at_most: int | None = None,
    batch: int = BATCH,
) -> int:
    """Remove availability keys by ``UNLINK``, and say how many there were. To repeat it is harmless.

    :param services: ids of services, as the keys hold them; None: all of them; an empty collection: no key.
    :param only_without_ttl: keep those that will expire by themselves.
    :param at_most: stop after so many.
    :param batch: keys a command; the server does nothing else while it removes them.
    :raises redis.RedisError: when Redis cannot be reached or refuses the commands; what was removed stays removed.
    """
    pages = _pages(client, settings, services)
    found = itertools.chain.from_iterable(_staying(client, pages) if only_without_ttl else pages)
    commands = ([("UNLINK", *keys)] for keys in _batches(itertools.islice(found, at_most), batch))
    return sum(itertools.chain.from_iterable(cache.answers(client, commands)))


def is_availability_key(settings: Settings, key: str) -> bool:
    """Whether a key is one of those that ``application.cache_key_pattern`` names: no other may be shown."""
    return _matcher(settings.application.cache_key_pattern)(key.encode()) is not None


def _pages(
    client: redis.Redis, settings: Settings, services: Collection[str] | None
) -> Iterator[list[bytes]]:
    """The keys that match the pattern and are of the services, in pages that are not empty."""
    pattern = settings.application.cache_key_pattern
    matches = _matcher(pattern)
    wanted = None if services is None else {service.encode() for service in services}
    for page in cache.scan(client, pattern):
        keys = [key for key in page if matches(key) and (wanted is None or _service(key) in wanted)]
        if keys:
            yield keys


def _staying(client: redis.Redis, pages: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    pages, asked = itertools.tee(pages)
    for keys, left in zip(pages, cache.ttls(client, asked), strict=True):
        yield [key for key, ttl in zip(keys, left, strict=True) if ttl == cache.NO_TTL]


def _batches(keys: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while batch := list(itertools.islice(keys, size)):
        yield batch


def _service(key: bytes) -> bytes | None:
    found = _SERVICE.search(key)
    return found[1] if found else None


_TOKEN = re.compile(rb"\\.|\[(\^?)((?:\\.|[^\]]-.|[^\]])*)\]?|.", re.DOTALL)
_MEMBER = re.compile(rb"\\(.)|(.)-(.)|(.)", re.DOTALL)


def _matcher(pattern: str) -> Callable[[bytes], re.Match[bytes] | None]:
    """Redis's own globs: ``*``, ``?``, ``[a-z]``, ``[^a]`` and a backslash before what is meant literally."""
    return re.compile(b"".join(map(_translate, _TOKEN.finditer(pattern.encode()))), re.DOTALL).fullmatch


def _translate(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text == b"*":
        return b".*"
    if text == b"?":
        return b"."
    if not text.startswith(b"["):
        return re.escape(text[-1:])
    members = b"".join(map(_member, _MEMBER.finditer(token[2])))
    if not members:  # nothing is in an empty set, and everything outside of it
        return b"." if token[1] else b"(?!)"
    return b"[" + token[1] + members + b"]"


def _member(member: re.Match[bytes]) -> bytes:
    if member[2] is None:
        return re.escape(member[1] or member[4])
    first, last = sorted((member[2], member[3]))
    return re.escape(first) + b"-" + re.escape(last)
