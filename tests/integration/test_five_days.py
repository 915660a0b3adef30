# SPDX-License-Identifier: MIT
"""Five scripted days, 13 checks each, in a real Airflow: exactly the messages of a golden file, and no more by repeating.

After a wanted change, `WRITE_GOLDEN=1 make test-integration` writes the file anew: read the difference.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from demo.account import BERLIN, Account
from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import CHANNELS, StandInSlack
from demo.traffic import ColdStart, Plan, Surge, Trouble, generate

GOLDEN = Path(__file__).parent / "golden" / "five_days.txt"
MONDAY = date(2026, 6, 8)
NAMES = {channel: name for name, channel in CHANNELS.items()}
Watch = Callable[[Application], None]


def at(day: int, clock: str) -> datetime:
    """A Berlin time on one of the days, 0 is Monday; UTC."""
    return datetime.combine(MONDAY + timedelta(days=day), time.fromisoformat(clock), BERLIN).astimezone(UTC)


PLAN = Plan(
    at(4, "20:05"),
    days=14,
    phase_failures=(
        # Monday: starts, worsens, is acknowledged, is repaired.
        Trouble(at(0, "10:20"), at(0, "13:10"), 0.30, company_id=2),
        Trouble(at(0, "13:10"), at(0, "15:30"), 0.95, company_id=2),
        # Wednesday: comes and goes.
        Trouble(at(2, "09:10"), at(2, "09:40"), 0.9),
        Trouble(at(2, "11:10"), at(2, "11:40"), 0.9),
        # Friday: nobody reacts.
        Trouble(at(4, "09:30"), at(4, "20:05"), 0.60),
    ),
    # Tuesday: Cal.com refuses bookings for two hours.
    sync_failures=(Trouble(at(1, "10:05"), at(1, "12:30"), 0.8),),
    # Thursday: the log is away for three checks, then all caches are cleared on a busy afternoon.
    cold_starts=(ColdStart(at(3, "16:10")),),
    request_surges=(Surge(at(3, "15:00"), at(3, "19:00"), per_hour=1000),),
)


class World:
    """What a step of the script can act on."""

    def __init__(self, application: Application, account: Account, slack: StandInSlack) -> None:
        self.application, self.account, self.slack = application, account, slack

    def acknowledge(self) -> None:
        """Anna reacts with eyes to whatever stands open and has no reaction."""
        for message in self.slack.messages():
            if (
                "thread_ts" not in message
                and not message.get("reactions")
                and "Resolved" not in message["text"]
            ):
                self.slack.react(message["channel"], message["ts"])

    def repair(self, until: datetime) -> None:
        """Somebody makes the missing phases of the appointments made so far."""
        broken = [
            a
            for a in self.account.appointments
            if a.created_at < until and self.account.flags.allow(a.service)
        ]
        self.application.repair(broken, until)


SCRIPT: Mapping[tuple[int, int], Callable[[World], None]] = {
    (0, 15): lambda w: w.acknowledge(),
    (0, 16): lambda w: w.repair(at(0, "15:45")),
    (2, 10): lambda w: w.repair(at(2, "09:50")),
    (2, 13): lambda w: w.repair(at(2, "12:30")),
    (3, 10): lambda w: w.application.remove_logs(),
    (3, 13): lambda w: w.application.write_logs(w.account.records),
}


def rendered(message: Mapping[str, Any]) -> str:
    """A message as a line: when, where, whether it is a reply, and what is read first."""
    when = datetime.fromtimestamp(float(message["ts"]), BERLIN)
    place = "  reply" if message.get("thread_ts", message["ts"]) != message["ts"] else "root"
    if message.get("subtype") == "thread_broadcast" or message.get("reply_broadcast"):
        place = "  broadcast"
    mention = " @on-call" if "<!subteam" in json.dumps(message.get("blocks", [])) + message["text"] else ""
    first = message["text"].splitlines()[0]
    return (
        f"{when:%a %H:%M} {NAMES.get(message['channel'], message['channel']):<9}{place:<12}{first}{mention}"
    )


def test_five_days(
    runs: Any,
    application: Application,
    watch: Watch,
    slack: StandInSlack,
    mariadb: MariaDB,
    redis_server: Redis,
) -> None:
    account = generate(PLAN)
    application.build(account)
    watch(application)
    world, draw = World(application, account, slack), random.Random(5)
    told: list[str] = []

    def kept() -> tuple[Any, ...]:
        with contextlib.closing(mariadb.root(application.store)) as connection:
            cursor = connection.cursor()
            tables = []
            for table in ("samples", "alerts", "notifications"):
                cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
                tables.append(cursor.fetchall())
            return (*tables, slack.messages())

    def check(day: int, hour: int) -> None:
        application.warm_cache(account)
        instant = at(day, f"{hour:02}:00")
        slack.set_clock(instant.timestamp() + 20)
        runs.check(instant)

    for day in range(5):
        for hour in range(8, 21):
            SCRIPT.get((day, hour), lambda _: None)(world)
            seen = {(m["channel"], m["ts"]) for m in slack.messages()}
            check(day, hour)
            new = [m for m in slack.messages() if (m["channel"], m["ts"]) not in seen]
            told += [rendered(m) for m in sorted(new, key=lambda m: float(m["ts"]))]
            if draw.random() < 0.2:
                before = kept()
                check(day, hour)
                assert kept() == before, f"day {day}, {hour}:00, asked again"
    told.append("--- what the first messages say in the end")
    roots = [m for m in slack.messages() if m.get("thread_ts", m["ts"]) == m["ts"]]
    told += [rendered(m) for m in sorted(roots, key=lambda m: float(m["ts"]))]
    before = kept()
    for _ in range(4):
        check(draw.randrange(4), draw.randrange(8, 21))
    assert kept()[1:] == before[1:], "older checks asked again tell nobody"

    text = "\n".join(told) + "\n"
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
