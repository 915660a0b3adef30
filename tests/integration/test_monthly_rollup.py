# SPDX-License-Identifier: MIT
"""The monthly rollup as its DAG: figures beside an independent count, Slack told once, backfills and dry runs silent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from demo.account import Account, Appointment
from demo.application import Application
from demo.services import MariaDB
from demo.slack import StandInSlack
from demo.traffic import Plan, generate

BERLIN = ZoneInfo("Europe/Berlin")
#: The month in which the clocks change in spring, some days around it, and the run that is about it.
START, END = (datetime(2026, month, 1, tzinfo=BERLIN).astimezone(UTC) for month in (3, 4))
RUN = datetime(2026, 4, 1, 7, tzinfo=BERLIN).astimezone(UTC)


@pytest.fixture(scope="module")
def account() -> Account:
    """What happened from the end of February to the morning of 1 April: a third of it, which is enough to count."""
    made = generate(Plan(RUN, days=34, world="deployed", requests_a_day=5))
    made.appointments, made.records = made.appointments[::3], []
    return made


@pytest.fixture
def built(
    application: Application,
    account: Account,
    watch: Callable[[Application], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Application:
    application.build(account)
    watch(application)
    monkeypatch.setenv("PROCESSING_TIME__REPORTS__HTML", str(tmp_path / "pages"))
    return application


@pytest.fixture
def dag(bag: Any) -> Any:
    return bag.dags["processing_time_monthly_rollup"]


def run(dag: Any, **conf: Any) -> dict[str, str]:
    """Run it by hand; the states of its tasks by name."""
    made = dag.test(run_conf={"as_of": RUN.isoformat(), "dry_run": False, **conf})
    return {i.task_id: str(i.state) for i in made.get_task_instances()}


ALL_WELL = dict.fromkeys(("roll_up", "deliver", "remove"), "success")


def stored(mariadb: MariaDB, application: Application, sql: str) -> list[tuple[Any, ...]]:
    with closing(mariadb.root(application.store)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def counted(account: Account, company: int) -> dict[str, tuple[float, float]]:
    """(numerator, denominator) of the month, from what the generator made."""

    def of(appointment: Appointment) -> bool:
        return not appointment.deleted and company in (0, appointment.service.company_id)

    living = [a for a in account.appointments if of(a)]
    month = [a for a in living if START <= a.created_at < END]
    eligible = [a for a in month if account.flags.allow(a.service)]
    with_phases = [a for a in eligible if a.phases]
    own = [a for a in month if any(p.segment_key is None for p in a.phases)]
    outer = [a for a in month if any(not p.staff_required for p in a.phases)]
    before = [a for a in account.appointments if not a.deleted and a.created_at < END]
    by_staff: dict[str, list[Appointment]] = {}
    for a in before:
        by_staff.setdefault(a.staff_id, []).append(a)
    inner = {
        b.id
        for a in outer
        for p in a.phases
        if not p.staff_required
        for b in by_staff[a.staff_id]
        if b.id != a.id and p.starts_at <= b.starts_at < p.ends_at
    }
    return {
        "phase_creation_success_rate": (len(with_phases), len(eligible)),
        "calcom_sync_success_rate": (sum(a.sync == "synced" for a in eligible), len(eligible)),
        "phase_distribution": (sum(len(a.phases) for a in with_phases), len(with_phases)),
        "overlapping_bookings": (len(inner), len(outer)),
        "orphaned_appointments": (len(eligible) - len(with_phases), len(eligible)),
        "stale_phases": (sum(not a.service.has_processing_time for a in own), len(own)),
        "appointment_share": (len(eligible), len(month)),
    }


def test_the_figures_are_those_of_an_independent_count(
    built: Application, account: Account, mariadb: MariaDB, slack: StandInSlack, dag: Any
) -> None:
    assert run(dag) == ALL_WELL
    rows = stored(mariadb, built, "SELECT metric, company_id, numerator, denominator FROM monthly")
    found = {(metric, company): (n, d) for metric, company, n, d in rows}
    for company in (0, *(c.id for c in account.companies)):
        on = any(account.flags.allow(s) for s in account.services if company in (0, s.company_id))
        for metric, expected in counted(account, company).items():
            if company == 0 or (any(expected) and (on or metric != "appointment_share")):
                assert found[metric, company] == expected, (metric, company)
    assert counted(account, 0)["overlapping_bookings"][0] > 20
    assert {row[0] for row in stored(mariadb, built, "SELECT period_start FROM monthly")} == {
        date(2026, 3, 1)
    }


def test_slack_is_told_once_with_a_chart_and_the_details_in_its_thread(
    built: Application, slack: StandInSlack, dag: Any, tmp_path: Path
) -> None:
    assert run(dag) == ALL_WELL
    told = slack.messages(slack.channels["reports"])
    roots = [m for m in told if m.get("thread_ts", m["ts"]) == m["ts"]]
    assert "March 2026" in roots[0]["text"]
    assert [f["name"] for m in roots for f in m.get("files", [])] == ["monthly-2026-03-1.png"]
    details = "\n".join(m["text"] for m in told if m not in roots)
    assert "Monthly checklist" in details
    assert "⬜ Review customer feedback" in details
    assert (tmp_path / "pages" / "monthly-2026-03.html").read_text().startswith("<!doctype html>")
    # Any later day of April is about March, too.
    assert run(dag, as_of="2026-04-20T12:00") == ALL_WELL
    assert slack.messages(slack.channels["reports"]) == told


def test_a_dry_run_keeps_nothing_and_tells_nobody(
    built: Application, mariadb: MariaDB, slack: StandInSlack, dag: Any, tmp_path: Path
) -> None:
    assert run(dag, dry_run=True) == ALL_WELL
    assert stored(mariadb, built, "SELECT * FROM monthly") == []
    assert stored(mariadb, built, "SELECT * FROM notifications") == []
    assert slack.messages() == []
    assert not (tmp_path / "pages").exists()


def test_a_backfill_keeps_the_month_and_tells_nobody(
    built: Application, mariadb: MariaDB, slack: StandInSlack, dag: Any
) -> None:
    context: Any = {
        "params": {"as_of": None, "dry_run": False},
        "dag_run": SimpleNamespace(run_type="backfill", run_after=RUN),
    }
    results = [dag.get_task(task_id).execute(context) for task_id in ("roll_up", "deliver", "remove")]
    assert results[0]["kept"]
    assert not results[0]["told"]
    assert results[1] == 0
    assert len(stored(mariadb, built, "SELECT * FROM monthly")) == results[0]["rows"] > 20
    assert stored(mariadb, built, "SELECT * FROM notifications") == []
    assert slack.messages() == []


def test_a_database_that_is_away_fails_the_run_and_keeps_nothing(
    built: Application, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch, dag: Any
) -> None:
    from airflow.sdk.exceptions import AirflowException

    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_MYSQL", "mysql://nobody:nothing@127.0.0.1:1/none")
    context: Any = {
        "params": {"as_of": None, "dry_run": False},
        "dag_run": SimpleNamespace(run_type="scheduled", run_after=RUN),
    }
    with pytest.raises(AirflowException, match="cannot be reached"):
        dag.get_task("roll_up").execute(context)


def test_runs_are_on_the_first_at_seven_about_exactly_the_month_before(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction
    from pendulum import instance

    timetable = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).timetable
    start = datetime(2025, 12, 15, tzinfo=BERLIN)
    restriction = TimeRestriction(earliest=instance(start), latest=None, catchup=True)
    runs: list[tuple[datetime, datetime]] = []
    info = None
    while len(runs) < 13:
        info = timetable.next_dagrun_info(
            last_automated_data_interval=info.data_interval if info else None, restriction=restriction
        )
        runs.append((info.data_interval.start.astimezone(BERLIN), info.run_after.astimezone(BERLIN)))
    assert {(at.day, at.hour, at.minute) for _, at in runs} == {(1, 7, 0)}
    assert [start.date() for start, _ in runs[1:]] == [at.date() for _, at in runs[:-1]]
    assert runs[-1][1] - runs[0][1] >= timedelta(days=365)
