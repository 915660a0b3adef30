# SPDX-License-Identifier: MIT
"""``mute``: silences a rule until a given end, with a reason, and without a deployment.

The newest mute of a rule and company is the one that holds: to end one early, mute again with an early end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.settings import Mute

LONGEST = timedelta(days=7)


class MuteRule:
    """Keeps a mute in our own schema; checks from the run's instant on obey it.

    :param clock: the present time; UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock

    def plan(self, request: Request, hands: Hands) -> Plan:
        """Say what would be silent; a person asked for exactly this, so nobody else has to approve it."""
        mute = _mute(request, self._clock())
        return Plan((f"Mute {_told(mute, hands)}.",), counts={"rules": 1}, needs_approval=False)

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Keep it."""
        mute = _mute(request, self._clock())
        hands.store.mutes.add(mute, request.as_of, request.requested_by)
        return Result(
            Outcome.DONE,
            (
                f"{_told(mute, hands)} is muted. It is measured and shown all the same, and speaks again by itself.",
                "It worked when the next check shows it as muted; an open alert of it closes then.",
            ),
            {"rule": mute.rule, "company_id": mute.company, "until": mute.until.isoformat()},
        )


def _mute(request: Request, present: datetime) -> Mute:
    if request.rule is None or request.until is None or request.reason is None:
        missing = next(n for n in ("rule", "until", "reason") if getattr(request, n) is None)
        raise Refused(f"mute needs {missing}: fill it in")
    if request.until <= present:
        raise Refused(f"until = {request.until:%Y-%m-%dT%H:%MZ} is over: name a time to come")
    if request.until > present + LONGEST:
        raise Refused(
            f"until = {request.until:%Y-%m-%dT%H:%MZ} is too late: mute for at most {LONGEST.days} days, and again if need"
            " be; for longer, set mutes or enabled in the settings"
        )
    return Mute(rule=request.rule, until=request.until, reason=request.reason, company=request.company_id)


def _told(mute: Mute, hands: Hands) -> str:
    company = f" of company {mute.company}" if mute.company is not None else ""
    until = mute.until.astimezone(hands.settings.zone)
    return f"{mute.rule}{company} until {until:%Y-%m-%d %H:%M %Z} ({mute.reason})"
