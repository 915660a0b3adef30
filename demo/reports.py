# SPDX-License-Identifier: MIT
"""`python -m demo.reports`: the weekly and the monthly report of the stand-in application, by the real DAGs.

Half a year of bookings, a week of checks with an outage and a blind afternoon in it. The reports go to the stand-in
Slack, their pages and charts to .demo/reports.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rich.console import Console

from demo import stage, terminal
from demo.account import BERLIN, Account
from demo.airflow_runs import AirflowRuns
from demo.slack import CHANNELS
from demo.slack.workspace import Message
from demo.traffic import Plan, Trouble, generate

PAGES = stage.DEMO / "reports"
WEEKLY, MONTHLY = "processing_time_weekly_report", "processing_time_monthly_rollup"
CHECKS, CLOCKS = "0 8,14,20 * * *", ("08:00", "14:00", "20:00")
"""Three checks a day: enough for a report, and done in half a minute."""
UNWATCHED = (4, "14:00")
MONTHS = 6
"""Whole months of bookings before the present one: one more than a trend needs."""


@dataclass(frozen=True)
class Calendar:
    """When the reports are made; both are the latest before the present."""

    monday: datetime
    first: datetime
    present: datetime

    @classmethod
    def at(cls, present: datetime) -> Calendar:
        """The calendar of the present time."""
        local = present.astimezone(BERLIN)
        today = local.date()
        monday = _berlin(today - timedelta(days=today.weekday()), "08:30")
        if monday > present:
            monday = _berlin(monday.astimezone(BERLIN).date() - timedelta(days=7), "08:30")
        first = _berlin(today.replace(day=1), "07:00")
        if first > present:
            first = _berlin((today.replace(day=1) - timedelta(days=1)).replace(day=1), "07:00")
        return cls(monday, first, present)

    def hour(self, day: int, clock: str) -> datetime:
        """A Berlin time in the week of the report; its Monday is day 0."""
        return _berlin(self.monday.astimezone(BERLIN).date() + timedelta(days=day - 7), clock)

    def months(self) -> list[datetime]:
        """When the months before the reported one would have been rolled up, oldest first."""
        found = [self.first]
        for _ in range(MONTHS - 1):
            day = found[-1].astimezone(BERLIN).date()
            found.append(_berlin((day - timedelta(days=1)).replace(day=1), "07:00"))
        return found[:0:-1]


class ReportDemo:
    """Both reports, from empty schemas to the files."""

    def __init__(self, console: Console, services: stage.Services) -> None:
        self._console, self._services = console, services
        self._runs = AirflowRuns(stage.AIRFLOW_LOG)
        self._calendar = Calendar.at(datetime.now(UTC).replace(microsecond=0))

    def run(self) -> None:
        """Make the data, the checks and the reports; say where the files are."""
        services = self._services
        services.make_ready()
        PAGES.mkdir(parents=True, exist_ok=True)
        for old in PAGES.iterdir():
            old.unlink()
        with terminal.timed(
            self._console, "A booking application, half a year old: MariaDB, Redis, a Laravel log"
        ):
            account = generate(_plan(self._calendar))
            services.application.build(account)
        with terminal.timed(self._console, "Airflow"):
            self._runs.use(_environment(services))
        with terminal.timed(self._console, "A week of checks, three a day"):
            self._checks(account)
        if services.slack is not None:
            services.slack.reset()  # what the checks told is not what is looked at here
        with terminal.timed(self._console, "The weekly report"):
            self._report(WEEKLY, self._calendar.monday)
        with terminal.timed(
            self._console, "The monthly report, and the months before it as a backfill makes them"
        ):
            _history(self._calendar)
            self._report(MONTHLY, self._calendar.first)
        self._save_pictures()
        self._console.print("\nThe pages, and the charts as Slack shows them:")
        for file in sorted(PAGES.iterdir()):
            self._console.print(f"  {file}")

    def messages(self) -> list[Message]:
        """What the channel of the reports holds; without the stand-in Slack nothing is known of it."""
        slack = self._services.slack
        return slack.messages(CHANNELS["reports"]) if slack else []

    def _checks(self, account: Account) -> None:
        """The checks of the week; on Friday afternoon nobody ran one."""
        calendar, slack = self._calendar, self._services.slack
        for day, clock in ((day, clock) for day in range(7) for clock in CLOCKS):
            if (day, clock) == UNWATCHED:
                continue
            self._services.application.warm_cache(account)
            at = calendar.hour(day, clock)
            if slack is not None:
                slack.set_clock(at.timestamp() + 20)
            self._runs.check(at)

    def _report(self, dag_id: str, at: datetime) -> None:
        if self._services.slack is not None:
            self._services.slack.set_clock(at.timestamp() + 20)
        self._runs.run(dag_id, at)

    def _save_pictures(self) -> None:
        """The charts, as they went to Slack."""
        application = self._services.application
        with contextlib.closing(self._services.mariadb.root(application.store)) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT name, content FROM notification_files WHERE name LIKE %s", ("%.png",))
            for name, content in cursor.fetchall():
                (PAGES / name).write_bytes(content)


def main(then: Callable[[ReportDemo, stage.Services], None] = lambda *_: None) -> int:
    """Make both reports; `then` may look at them while the servers still run."""
    console = Console(highlight=False, soft_wrap=True)

    def run() -> int:
        with stage.only_one(), stage.services(keep=False) as services:
            demo = ReportDemo(console, services)
            demo.run()
            then(demo, services)
        return 0

    return terminal.ended(console, run)


def _plan(calendar: Calendar) -> Plan:
    """Bookings since the first of the oldest month; on Wednesday Cal.com refuses and the observer fails in a company."""
    days = (calendar.present - min(calendar.months())).days + 32
    outage = Trouble(calendar.hour(2, "09:20"), calendar.hour(2, "14:40"), 0.6, company_id=2)
    refused = Trouble(calendar.hour(2, "10:00"), calendar.hour(2, "12:30"), 0.5)
    earlier = calendar.first - timedelta(days=20)
    return Plan(
        calendar.present,
        days=days,
        requests_a_day=90,
        phase_failures=(outage, Trouble(earlier, earlier + timedelta(days=2), 0.2)),
        sync_failures=(refused,),
    )


def _environment(services: stage.Services) -> dict[str, str]:
    own = {
        "PROCESSING_TIME__REPORTS__HTML": str(PAGES),
        "PROCESSING_TIME__SCHEDULE__HEALTH_CHECK": CHECKS,
    }
    return {**stage.environment(services), **own}


def _history(calendar: Calendar) -> None:
    """Roll the earlier months up as a backfill does: kept, and nobody is told."""
    from processing_time.operators import connections
    from processing_time.reports import monthly
    from processing_time.settings import load
    from processing_time.sources import feature_flags
    from processing_time.store_reports import ReportStore

    settings = load()
    rows = connections.mysql_connect(settings.connections.mysql)
    with ReportStore(connections.mysql_connect(settings.connections.store)) as store:
        for at in calendar.months():
            rollup, _ = monthly.measure(
                store,
                rows,
                settings,
                at,
                calendar.present,
                lambda: feature_flags.read(settings.application.env_file),
            )
            monthly.keep(store, rollup, [], calendar.present)


def _berlin(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=BERLIN).astimezone(UTC)


if __name__ == "__main__":
    sys.exit(main())
