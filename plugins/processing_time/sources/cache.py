# SPDX-License-Identifier: MIT
"""The application's availability cache in Redis: how many entries there are, and which of them would never expire.

Redis is walked with ``SCAN`` and asked for TTLs in pipelines: no command holds the server up, whatever its size. Answers are
read one step late, so that the server always has something to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from processing_time.model import Collected, Sample, SourceUnavailable
from processing_time.settings import Settings
from processing_time.timeline import Timeline

METRIC = "cached_availability_entries"
PAGE = 1000
NO_TTL = -1
_CONNECTION = "the connection processing_time_redis"


def collect(client: redis.Redis, settings: Settings, timeline: Timeline) -> Collected:
    """Count the keys that match ``application.cache_key_pattern`` as it is written, each once.

    :return: a sample at the instant of the check, and the fact ``entries``.
    :raises SourceUnavailable: when Redis cannot be reached or refuses the commands.
    """
    try:
        none_without = _every_key_expires(client)
        pages = scan(client, settings.application.cache_key_pattern)
        entries, without_ttl = (sum(map(len, pages)), 0) if none_without else count(client, pages)
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise _unavailable(
            "refuses access", error, "check login and password; it needs SCAN and TTL"
        ) from None
    except redis.RedisError as error:
        raise _unavailable("cannot be read", error, "check host, port and database number") from None
    sample = Sample(
        METRIC,
        timeline.windows["instant"],
        value=entries,
        numerator=entries,
        detail={"without_ttl": without_ttl},
    )
    enabled = METRIC in settings.enabled("redis")
    return Collected((sample,) if enabled else (), {"entries": entries})


def scan(client: redis.Redis, pattern: str) -> Iterator[list[bytes]]:
    """The keys that match a pattern, in pages, as bytes whatever the client makes of answers.

    ``SCAN`` gives a key again when its table is resized meanwhile. What was seen is remembered as a 64-bit hash of
    each key: a third of the memory, and a mistake once in a billion walks over 200,000 keys.
    """
    seen: set[int] = set()
    for keys in _pages(client, pattern):
        page = {hash(key): key for key in keys}
        fresh = page.keys() - seen
        seen |= fresh
        if fresh:
            yield [page[h] for h in fresh]


def count(client: redis.Redis, pages: Iterable[list[bytes]]) -> tuple[int, int]:
    """How many keys there are in pages of them, and how many of these would stay for ever."""
    entries = without_ttl = 0
    for left in ttls(client, pages):
        entries += len(left)
        without_ttl += left.count(NO_TTL)
    return entries, without_ttl


def ttls(client: redis.Redis, pages: Iterable[list[bytes]]) -> Iterator[list[int]]:
    """For each page the seconds that its keys have left; ``NO_TTL`` for one that stays for ever, -2 for one that has gone."""
    return answers(client, ([("TTL", key) for key in keys] for keys in pages))


def answers(client: redis.Redis, batches: Iterable[Sequence[tuple[Any, ...]]]) -> Iterator[list[Any]]:
    """The answers to batches of commands, each batch sent before the answers to the one before it are read.

    It is what redis-py's pipeline does, without its waiting and at a quarter of its cost.

    :param batches: each of some commands, whose answers are small: the server stops where nobody takes them.
    """
    with _connection(client) as connection:
        under_way = 0
        for commands in batches:
            connection.send_packed_command(connection.pack_commands(commands))
            if under_way:
                yield [connection.read_response() for _ in range(under_way)]
            under_way = len(commands)
        if under_way:
            yield [connection.read_response() for _ in range(under_way)]


def _every_key_expires(client: redis.Redis) -> bool:
    """Whether the server counts no key without a TTL in this database: none of them has to be asked then."""
    try:
        keyspace: Any = client.info("keyspace")
    except redis.ResponseError:  # not permitted, or not offered
        return False
    counts = keyspace.get(f"db{client.get_connection_kwargs().get('db') or 0}", {})
    return "keys" in counts and counts["keys"] == counts.get("expires")


def _pages(client: redis.Redis, pattern: str) -> Iterator[list[bytes]]:
    """The pages of a walk. Each is asked for before the one before it is given, so that the server never waits."""
    with _connection(client) as connection:
        connection.send_command("SCAN", 0, "MATCH", pattern, "COUNT", PAGE)
        while True:
            cursor, keys = connection.read_response(disable_decoding=True)
            if int(cursor) == 0:
                break
            connection.send_command("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
            yield keys
    yield keys


@contextmanager
def _connection(client: redis.Redis) -> Iterator[Any]:
    """A connection of the client's pool for commands that do not wait for each other's answers."""
    connection: Any = client.connection_pool.get_connection()
    try:
        yield connection
    except BaseException:
        # Answers may be under way, for nobody: the next user must not take them for its own.
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def _unavailable(what: str, error: redis.RedisError, fix: str) -> SourceUnavailable:
    # The error's own text may hold the address; its type says what matters.
    return SourceUnavailable(f"Redis {what} ({type(error).__name__}): {fix} of {_CONNECTION}")
