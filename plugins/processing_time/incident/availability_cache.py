# SPDX-License-Identifier: MIT
"""``clear_availability_cache``: removes cached availability, which the application then fetches anew from Cal.com."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from processing_time.incident import cache_keys, targets
from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result

BURST = "Cal.com is asked more often for some minutes; cache_miss_spike may speak, and clears by itself."


class ClearAvailabilityCache:
    """Removes the keys that ``application.cache_key_pattern`` matches, or those of one company or service."""

    def plan(self, request: Request, hands: Hands) -> Plan:
        """Count them."""
        services = targets.services(request, hands)
        with _words():
            found = cache_keys.summary(hands.redis(), hands.settings, services)
        most = hands.settings.incident.approve_above
        lines = [f"Remove {_keys(found.entries, request)} from Redis. {BURST}"]
        if found.without_ttl:
            lines.append(f"{found.without_ttl} of them would never expire.")
        if found.entries > most:
            lines.append(f"That is more than {most} (incident.approve_above), so somebody has to approve it.")
        return Plan(
            lines=tuple(lines) if found.entries else ("There is no such key in Redis: nothing to remove.",),
            counts={"keys": found.entries},
            needs_approval=found.entries > most,
            empty=not found.entries,
            detail={"services": services},
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Remove them. Keys that were made since are removed too: they are of the same pattern.

        :raises Refused: when nobody approved it, and there are so many by now that somebody has to.
        """
        services, most = plan.detail["services"], hands.settings.incident.approve_above
        if not plan.needs_approval:
            with _words():
                there = cache_keys.summary(hands.redis(), hands.settings, services).entries
            if there > most:
                raise Refused(
                    f"there are {there} of them by now, and somebody has to approve more than {most}"
                    " (incident.approve_above): start it again"
                )
        try:
            with _words():
                removed = cache_keys.unlink(hands.redis(), hands.settings, services)
        except Refused as refused:
            broken = f"It broke off: {refused}. Keys that were removed by then stay removed; start it again."
            return Result(Outcome.FAILED, (broken,))
        return Result(
            Outcome.DONE,
            (
                f"{_keys(removed, request)} removed. {BURST}",
                "It worked when keys appear again: diagnose counts them.",
            ),
            {"keys": removed},
        )


def _keys(count: int, request: Request) -> str:
    named = {"company": request.company_id, "service": request.service_id}
    of = " and ".join(f"{what} {id_}" for what, id_ in named.items() if id_ is not None)
    return f"{count} availability {'key' if count == 1 else 'keys'}" + (f" of {of}" if of else "")


@contextmanager
def _words() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise Refused(
            f"Redis does not do it ({type(error).__name__}): check the connection processing_time_redis,"
            " its login needs SCAN, TTL, MEMORY USAGE and UNLINK"
        ) from None
