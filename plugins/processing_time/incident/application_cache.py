# SPDX-License-Identifier: MIT
"""``clear_application_cache``: ``php artisan cache:clear``, which empties the whole cache store."""

from __future__ import annotations

from processing_time.incident.action import Hands, Outcome, Plan, Request, Result


class ClearApplicationCache:
    """Empties the application's default cache store."""

    def plan(self, request: Request, hands: Hands) -> Plan:
        """What that means; nothing is asked but whether artisan answers."""
        hands.artisan().features()
        return Plan(
            lines=(
                "Run php artisan cache:clear: it empties the WHOLE cache store of the application, of all companies.",
                "Whatever else it caches there goes too: rate limits, locks, sessions where they share the store.",
                "The application is slower until the cache is warm, and Cal.com is asked more often for some minutes.",
                "To remove cached availability alone, use clear_availability_cache.",
            ),
            counts={"stores": 1},
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Empty it."""
        ran = hands.artisan().clear_cache()
        return Result(
            Outcome.DONE,
            (
                "The application's cache store was emptied.",
                "It worked when the hit rate is back above its target within the hour: availability_cache_hit_rate.",
            ),
            {"runs": [ran.to_json()]},
        )
