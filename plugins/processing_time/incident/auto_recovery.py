# SPDX-License-Identifier: MIT
"""Level 1 repairs by itself what the settings allow: stuck cache keys, failed syncs, missing phases.

An open alert asks for it, once: the audit row that names the alert is written before anything is done, so neither a
repeated task nor the next check does it again. How much is done within an hour is bounded, and what was begun counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from redis import RedisError

from processing_time.incident import cache_keys
from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.incident.registry import load, lock_of
from processing_time.messages.blocks import render
from processing_time.messages.incident import told
from processing_time.model import Alert, AlertState
from processing_time.outbox import Notification, Place
from processing_time.settings import Settings
from processing_time.store_incident import AUTO_RECOVERY
from processing_time.store_session import Busy

log = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
"""What the measures of the settings are for."""
CUT_OFF = "It was cut off, nobody knows how far it came; it is not begun again by itself. Press the action to go on."


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something that level 1 may do.

    :param setting: its key below ``auto_recovery``: how much of it within an hour.
    :param action: its name in the audit; also the action of the form that does it, or whose lock it takes.
    :param things: what its plan lists, and what the measure counts.
    :param rules: the alerts that ask for it.
    """

    setting: str
    action: str
    things: str
    rules: frozenset[str]


REMEDIES = (
    Remedy(
        "stuck_cache_keys",
        "clear_availability_cache",
        "keys",
        frozenset({"availability_cache_hit_rate", "cache_miss_spike"}),
    ),
    Remedy(
        "failed_syncs",
        "retry_failed_syncs",
        "jobs",
        frozenset({"calcom_sync_success_rate", "calcom_sync_burn_rate", "calcom_sync_failures"}),
    ),
    Remedy(
        "missing_phases",
        "create_missing_phases",
        "appointments",
        frozenset(
            {
                "phase_creation_success_rate",
                "phase_creation_burn_rate",
                "phase_creation_failures",
                "orphaned_appointments",
            }
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    """The check that recovers.

    :param page: the address of the run in Airflow, or nothing.
    :param clock: the present time; UTC.
    """

    id: str
    as_of: datetime
    page: str
    clock: Callable[[], datetime]


def recover(alerts: Sequence[Alert], hands: Hands, run: Run) -> list[tuple[str, Result]]:
    """Do what the open alerts of this check ask for; what was done, by the action's name.

    What somebody has acknowledged is left to that person. Each thread gets a line, owed through the outbox.

    :param alerts: those that are open after the check's decisions.
    :raises StoreError: when the store cannot be used.
    """
    firing = [a for a in alerts if a.state is AlertState.FIRING and a.last_seen_at == run.as_of]
    _conclude_what_was_cut_off(alerts, hands, run)
    done = []
    for remedy in REMEDIES:
        treated = hands.store.recoveries.treated(remedy.action)
        asking = [a for a in firing if a.rule in remedy.rules and a.id not in treated]
        room = getattr(hands.settings.auto_recovery, remedy.setting)
        room -= hands.store.recoveries.spent(remedy.action, run.clock() - HOUR)
        if asking and room > 0:
            try:
                with hands.store.actions.alone(lock_of(remedy.action), wait=0):
                    result = _recover(remedy, asking, room, hands, run)
            except Busy:
                log.info("%s: somebody is doing that by hand", remedy.action)
                continue
            done.append((remedy.action, result))
    return done


def _recover(remedy: Remedy, asking: Sequence[Alert], room: int, hands: Hands, run: Run) -> Result:
    company = asking[0].company_id if len(asking) == 1 else 0
    request = Request(
        remedy.action,
        dry_run=False,
        as_of=run.as_of,
        requested_by=AUTO_RECOVERY,
        alert_id=asking[0].id,
        company_id=company or None,
    )
    refusal = ""
    try:
        plan = _within(_plan(remedy, request, hands), remedy, room)
    except (Refused, RedisError) as error:
        plan, refusal = Plan((), empty=True), _sentence(error)
    hands.store.actions.begin(
        dag_run_id=run.id,
        action=remedy.action,
        requested_by=AUTO_RECOVERY,
        dry_run=False,
        at=run.clock(),
        detail={"alerts": [a.id for a in asking], "most": min(room, plan.counts.get(remedy.things, 0))},
    )
    if refusal:
        result = Result(Outcome.REFUSED, (refusal,))
    elif plan.empty:
        result = Result(Outcome.NOTHING_TO_DO, plan.lines)
    else:
        try:
            result = _act(remedy, request, hands, plan, room)
        except (Refused, RedisError) as error:
            result = Result(Outcome.FAILED, (_sentence(error),))
    _finish(asking, request, result, hands, run)
    return result


def _conclude_what_was_cut_off(alerts: Sequence[Alert], hands: Hands, run: Run) -> None:
    """Complete the audit rows of an attempt of this task that was ended in the middle."""
    for action, about in hands.store.recoveries.unfinished(run.id).items():
        asking = [a for a in alerts if a.id in about]
        request = Request(action, dry_run=False, as_of=run.as_of, requested_by=AUTO_RECOVERY)
        _finish(asking, request, Result(Outcome.FAILED, (CUT_OFF,)), hands, run)


def _finish(asking: Sequence[Alert], request: Request, result: Result, hands: Hands, run: Run) -> None:
    hands.store.actions.finish(
        dag_run_id=run.id,
        action=request.action,
        outcome=str(result.outcome),
        at=run.clock(),
        detail={"result": result.to_json()},
        notifications=[_line(alert, request, result, run, hands.settings) for alert in asking],
        alerts={alert.key: alert.id for alert in asking},
    )


def _plan(remedy: Remedy, request: Request, hands: Hands) -> Plan:
    if remedy.setting != "stuck_cache_keys":
        return load(remedy.action).plan(request, hands)
    stuck = cache_keys.summary(hands.redis(), hands.settings).without_ttl
    return Plan(("No availability key stays for ever.",), counts={"keys": stuck}, empty=not stuck)


def _within(plan: Plan, remedy: Remedy, room: int) -> Plan:
    """The plan, cut to what may still be done within this hour."""
    if remedy.things not in plan.detail:
        return plan
    things: list[Any] = plan.detail[remedy.things][:room]
    return replace(
        plan,
        counts={**plan.counts, remedy.things: len(things)},
        detail={**plan.detail, remedy.things: things},
    )


def _act(remedy: Remedy, request: Request, hands: Hands, plan: Plan, room: int) -> Result:
    if remedy.setting != "stuck_cache_keys":
        return load(remedy.action).act(request, hands, plan)
    # Only those that would never expire: whatever is fresh stays.
    removed = cache_keys.unlink(hands.redis(), hands.settings, only_without_ttl=True, at_most=room)
    keys = "1 availability key" if removed == 1 else f"{removed} availability keys"
    return Result(Outcome.DONE, (f"{keys} that would never have expired removed.",), {"keys": removed})


def _line(alert: Alert, request: Request, result: Result, run: Run, settings: Settings) -> Notification:
    message = told(request.action, request, result, None, run.page)
    return Notification(
        kind="recovery",
        dedupe_key=f"recovery/{alert.id}/{request.action}",
        route=str(alert.severity),
        payload=render(message, settings),
        place=Place.THREAD,
        alert=alert.key,
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    return f"Redis does not do it ({type(error).__name__}): check the connection processing_time_redis"
