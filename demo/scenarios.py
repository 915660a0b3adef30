# SPDX-License-Identifier: MIT
"""The scenarios: how the data is made, which checks are run, what happens between them, and what should come out.

A scenario is a function of a `Clock`. Its checks lie at full hours of a business day, whatever the hour of the real day
is; its data reaches up to the present.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from demo.account import BERLIN, Account, Flags
from demo.application import Application
from demo.services import Redis
from demo.slack import StandInSlack
from demo.traffic import ColdStart, Plan, Surge, Trouble

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Clock:
    """When the last check is, and up to when there is data; aware, UTC."""

    as_of: datetime
    until: datetime

    def before(self, **ago: float) -> datetime:
        """An instant before the last check, such as `before(hours=3)`."""
        return self.as_of - timedelta(**ago)

    def local(self, hour: int, minute: int = 0, days_ago: int = 0) -> datetime:
        """A Berlin clock time on the day of the last check, or days before."""
        day = self.as_of.astimezone(BERLIN).date() - timedelta(days=days_ago)
        return datetime.combine(day, time(hour, minute), BERLIN).astimezone(UTC)


def clock(present: datetime, *, whole_day: bool = False) -> Clock:
    """The clock of a scenario that is run at `present`.

    The last check is at the full hour before; in the morning and at night, when the day has too few rows, at
    14:00 of the day before. For a `whole_day` it is at the last 20:00.
    """
    until = present.astimezone(UTC).replace(microsecond=0)
    local = until.astimezone(BERLIN)
    if not whole_day and 12 <= local.hour <= 20:
        return Clock(local.replace(minute=0, second=0).astimezone(UTC), until)
    hour = 20 if whole_day else 14
    day = local.date() if local.hour >= 20 else local.date() - timedelta(days=1)
    return Clock(datetime.combine(day, time(hour), BERLIN).astimezone(UTC), until)


@dataclass(frozen=True)
class Stage:
    """What a step between two checks can act on. `slack` is None when the real Slack is used."""

    application: Application
    account: Account
    redis: Redis
    slack: StandInSlack | None


@dataclass(frozen=True)
class Step:
    """Something that happens before a check, and how it is told to the reader."""

    text: str
    act: Callable[[Stage], None]


@dataclass(frozen=True)
class Check:
    """One run of the health check."""

    at: datetime
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What should come out: states at the last check, values below a bound there, alerts by rule over all checks."""

    states: Mapping[str, str] = field(default_factory=dict)
    below: Mapping[str, float] = field(default_factory=dict)
    opened: frozenset[str] = frozenset()
    resolved: frozenset[str] = frozenset()
    account: Mapping[str, Callable[[Account], bool]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """A scenario, ready to be run."""

    plan: Plan
    checks: tuple[Check, ...]
    expected: Expected


def healthy(clock: Clock) -> Scenario:
    """Everything works."""
    return Scenario(Plan(clock.until), _twice(clock), Expected(states=_ALL_WELL))


def phase_failures(clock: Clock) -> Scenario:
    """The observer fails for one company: appointments without phases, staff double-booked."""
    start = clock.before(minutes=55)
    troubles = (Trouble(start, clock.until, 0.95, company_id=2), Trouble(start, clock.until, 0.05))
    rush = Surge(clock.before(hours=1), clock.as_of, per_hour=140)
    return Scenario(
        Plan(clock.until, surges=(rush,), phase_failures=troubles),
        _twice(clock),
        Expected(
            states={
                **_ALL_WELL,
                "phase_creation_success_rate": "critical",
                "phase_creation_burn_rate": "alert",
                "orphaned_appointments": "alert",
                "phase_creation_failures": "alert",
            },
            # The others have the same cause; the critical rate speaks for them.
            opened=frozenset({"phase_creation_success_rate"}),
        ),
    )


def sync_outage(clock: Clock) -> Scenario:
    """Cal.com has refused most bookings since yesterday afternoon."""
    trouble = Trouble(clock.local(15, days_ago=1), clock.until, 0.9)
    return Scenario(
        Plan(clock.until, sync_failures=(trouble,)),
        _twice(clock),
        Expected(
            states={
                **_ALL_WELL,
                "calcom_sync_success_rate": "critical",
                "calcom_sync_burn_rate": "alert",
                "calcom_sync_failures": "alert",
            },
            opened=frozenset({"calcom_sync_success_rate"}),
        ),
    )


def cold_cache(clock: Clock) -> Scenario:
    """All availability caches are cleared on a busy day: the spike alerts, and resolves two checks later."""
    cold = ColdStart(clock.before(hours=2, minutes=40))
    busy = Surge(clock.before(hours=4), clock.as_of, per_hour=1000)

    def recovered(account: Account) -> bool:
        after = cold.at + 5 * MINUTE
        return len(account.happened("cache_miss", after, after + 5 * MINUTE)) < 40

    return Scenario(
        Plan(clock.until, cold_starts=(cold,), request_surges=(busy,)),
        tuple(Check(clock.before(hours=hours)) for hours in (3, 2, 1, 0)),
        Expected(
            states={**_ALL_WELL, "cache_miss_spike": "ok"},
            opened=frozenset({"cache_miss_spike"}),
            resolved=frozenset({"cache_miss_spike"}),
            account={"misses are back to normal within five minutes": recovered},
        ),
    )


def normal_load(clock: Clock) -> Scenario:
    """100 appointments an hour, the guide's normal load: no failures, below 50 ms."""
    load = Surge(clock.before(hours=4), clock.as_of, per_hour=100)
    return Scenario(
        Plan(clock.until, surges=(load,)),
        _twice(clock),
        Expected(states=_ALL_WELL, below={"phase_creation_time": 50, "phase_creation_failures": 1}),
    )


def peak_load(clock: Clock) -> Scenario:
    """500 appointments an hour, the guide's peak load: below 1 % failures, below 100 ms. Nobody is paged."""
    start = clock.before(hours=3)
    return Scenario(
        Plan(
            clock.until,
            surges=(Surge(start, clock.as_of, per_hour=500),),
            phase_failures=(Trouble(start, clock.as_of, 0.002),),
            slow_phases=(Trouble(start, clock.as_of, 1.0),),
            slow_ms=42.0,
        ),
        _twice(clock),
        Expected(
            states={**_ALL_WELL, "phase_creation_time": "degraded", "orphaned_appointments": "alert"},
            below={"phase_creation_time": 100},
            opened=frozenset({"orphaned_appointments"}),
            account={
                "fewer than 1 % of the appointments failed": lambda account: (
                    _failing_share(account, clock) < 0.01
                )
            },
        ),
    )


def pilot_rollout(clock: Clock) -> Scenario:
    """Two pilot companies are whitelisted; the others' appointments have no phases, and that is no alarm."""
    return Scenario(
        Plan(clock.until, flags=Flags(company_whitelist=(1, 3))),
        _twice(clock),
        Expected(
            states={
                key: _ALL_WELL[key]
                for key in ("phase_creation_success_rate", "orphaned_appointments", "phase_distribution")
            }
        ),
    )


def log_missing(clock: Clock) -> Scenario:
    """The log disappears between two checks: unknown, never well, and the database is still measured."""
    gone = Step("the log files are deleted", lambda stage: stage.application.remove_logs())
    log = ("phase_creation_time", "availability_cache_hit_rate", *_LOG_RULES)
    return Scenario(
        Plan(clock.until),
        (Check(clock.before(hours=2)), Check(clock.before(hours=1), (gone,)), Check(clock.as_of)),
        Expected(
            states={**_ALL_WELL, **dict.fromkeys(log, "unknown")}, opened=frozenset({"source.log.unknown"})
        ),
    )


def redis_down(clock: Clock) -> Scenario:
    """Redis stops between two checks."""
    stopped = Step("Redis is stopped", lambda stage: stage.redis.stop())
    return Scenario(
        Plan(clock.until),
        (Check(clock.before(hours=1)), Check(clock.as_of, (stopped,))),
        Expected(
            states={**_ALL_WELL, "cached_availability_entries": "unknown"},
            opened=frozenset({"source.redis.unknown"}),
        ),
    )


def deployed(clock: Clock) -> Scenario:
    """The application as it is deployed: other columns, other lines. What it cannot tell is said, once."""
    never = ("phase_creation_time", "availability_cache_hit_rate", "cache_miss_spike")
    return Scenario(
        Plan(clock.until, world="deployed"),
        (Check(clock.before(hours=1)), Check(clock.as_of)),
        Expected(
            states={**_ALL_WELL, **dict.fromkeys(never, "unknown")},
            opened=frozenset(f"{key}.unknown" for key in never),
        ),
    )


def outage_day(clock: Clock) -> Scenario:
    """A whole day, 13 checks: failures start, worsen, are acknowledged and repaired; then slowness comes and goes."""
    starts, worsens, fixed = clock.local(9, 20), clock.local(11, 10), clock.local(14, 40)
    slow = tuple(Trouble(clock.local(hour, 5), clock.local(hour, 55), 1.0) for hour in (15, 17))
    steps = {
        13: Step("Anna reacts with 👀", _acknowledge),
        15: Step("the observer is repaired, and the missing phases are made by hand", _repair(fixed)),
    }
    checks = (Check(clock.local(hour), (steps[hour],) if hour in steps else ()) for hour in range(8, 21))
    everything = frozenset(
        {
            "orphaned_appointments",
            "phase_creation_success_rate",
            "phase_creation_failures",
            "phase_creation_time",
        }
    )
    return Scenario(
        Plan(
            clock.until,
            phase_failures=(
                Trouble(starts, worsens, 0.30, company_id=2),
                Trouble(worsens, fixed, 0.95, company_id=2),
            ),
            slow_phases=slow,
        ),
        tuple(checks),
        Expected(states=_ALL_WELL, opened=everything, resolved=everything),
    )


def _failing_share(account: Account, clock: Clock) -> float:
    complete, total = account.phase_creation(clock.as_of)
    return 1 - complete / total


def _acknowledge(stage: Stage) -> None:
    """Somebody looks at every open thread and says so."""
    if stage.slack is not None:
        for message in stage.slack.messages():
            if "thread_ts" not in message and not message.get("reactions"):
                stage.slack.react(message["channel"], message["ts"])


def _repair(until: datetime) -> Callable[[Stage], None]:
    """Make the phases that are missing for appointments made before `until`."""

    def act(stage: Stage) -> None:
        account = stage.account
        broken = [a for a in account.appointments if a.created_at < until and account.flags.allow(a.service)]
        stage.application.repair(broken, until)

    return act


def _twice(clock: Clock) -> tuple[Check, ...]:
    """The check, and the one before it: a monitor that has just been installed knows too little of the past."""
    return (Check(clock.before(hours=1)), Check(clock.as_of))


_LOG_RULES = ("phase_creation_failures", "observer_disabled", "cache_miss_spike", "calcom_sync_failures")
_ALL_WELL: Mapping[str, str] = dict.fromkeys(
    (
        "phase_creation_success_rate",
        "phase_creation_burn_rate",
        "phase_creation_time",
        "availability_cache_hit_rate",
        "calcom_sync_success_rate",
        "calcom_sync_burn_rate",
        "phase_distribution",
        "overlapping_bookings",
        "orphaned_appointments",
        "stale_phases",
        "cached_availability_entries",
        *_LOG_RULES,
    ),
    "ok",
)

DEFAULT = "phase_failures"
SCENARIOS: Mapping[str, Callable[[Clock], Scenario]] = {
    build.__name__: build
    for build in (
        healthy,
        phase_failures,
        sync_outage,
        cold_cache,
        normal_load,
        peak_load,
        pilot_rollout,
        log_missing,
        redis_down,
        deployed,
        outage_day,
    )
}


def prepare(name: str, present: datetime) -> Scenario:
    """The scenario `name` as it is run at `present`; raises KeyError for an unknown name."""
    build = SCENARIOS[name]
    return build(clock(present, whole_day=build is outage_day))
