# SPDX-License-Identifier: MIT
"""The application's availability cache in Redis: how many entries there are, and which of them would never expire.

Redis is walked with ``SCAN`` and asked for TTLs in pipelines: no command holds the server up, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis

from processing_time.model import Collected, Sample, SourceUnavailable
from processing_time.settings import Settings
from processing_time.timeline import Timeline

METRIC = "cached_availability_entries"
PAGE = 1000
_CONNECTION = "the connection processing_time_redis"
_NO_TTL = -1


def collect(client: redis.Redis, settings: Settings, timeline: Timeline) -> Collected:
    """Count the keys that match ``application.cache_key_pattern`` as it is written, each once.

    :param client: bytes or text as answers, both will do.
    :return: a sample at the instant of the check, and the fact ``entries``.
    :raises SourceUnavailable: when Redis cannot be reached or refuses the commands.
    """
    entries = without_ttl = 0
    try:
        for keys in scan(client, settings.application.cache_key_pattern):
            entries += len(keys)
            without_ttl += _without_ttl(client, keys)
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


def scan(client: redis.Redis, pattern: str) -> Iterator[list[Any]]:
    """The keys that match a pattern, in pages.

    ``SCAN`` gives a key again when its table is resized meanwhile. What was seen is remembered as a 64-bit hash of
    each key: a third of the memory, and a mistake once in a billion walks over 200,000 keys.
    """
    seen: set[int] = set()
    cursor: Any = 0
    while True:
        cursor, keys = client.scan(cursor, match=pattern, count=PAGE)
        page = {hash(key): key for key in keys}
        fresh = page.keys() - seen
        seen |= fresh
        if fresh:
            yield [page[h] for h in fresh]
        if int(cursor) == 0:
            return


def _without_ttl(client: redis.Redis, keys: list[Any]) -> int:
    """How many of the keys have no TTL; one that has expired since counts as having had one."""
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.ttl(key)
    return pipeline.execute().count(_NO_TTL)


def _unavailable(what: str, error: redis.RedisError, fix: str) -> SourceUnavailable:
    # The error's own text may hold the address; its type says what matters.
    return SourceUnavailable(f"Redis {what} ({type(error).__name__}): {fix} of {_CONNECTION}")
