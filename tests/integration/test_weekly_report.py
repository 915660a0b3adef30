# SPDX-License-Identifier: MIT
"""The weekly report in a real Airflow: its numbers, what is kept and told, and what a repetition changes."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from copy import copy
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.account import BERLIN, Account
from demo.application import Application
from demo.services import MariaDB
from demo.slack import StandInSlack
from demo.traffic import Plan, Trouble, generate
from processing_time.reports.charts import Panel, Series, draw
from processing_time.reports.document import Picture
from processing_time.reports.language import Language
from tests.integration.test_health_check import rows

MONDAY = datetime.fromisoformat("2026-03-30T08:30+02:00")
"""The Monday after the clocks went forward: its week has 167 hours."""
FIRST = date(2026, 3, 23)
REPORTS = "C0REPORTS01"
Watch = Callable[[Application], None]
Report = Callable[..., dict[str, str]]
Weekly = Callable[[], dict[tuple[date, str, int], dict[str, Any]]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second between messages, which the stand-in Slack does not ask for, and no chart drawn anew for each run."""
    monkeypatch.setattr("processing_time.delivery.PACE", 0.0)
    monkeypatch.setattr("processing_time.reports.weekly_chart.draw", drawn_once)


@functools.cache
def _chart() -> Picture:
    panels = [Panel("Rate", "%", (Series("rate", (99.0,) * 7),))]
    return draw("The week", "What it shows", ["day"] * 7, panels, Language("en", BERLIN))


def drawn_once(*_: Any) -> Picture:
    return _chart()


@pytest.fixture
def report(bag: Any, quick: None) -> Report:
    """Run it for an instant; the states of its tasks by name."""
    dag = bag.dags["processing_time_weekly_report"]

    def run(as_of: datetime = MONDAY, **conf: Any) -> dict[str, str]:
        given = {"as_of": as_of.isoformat(), "dry_run": False, "company_id": None, **conf}
        made = dag.test(run_conf=given)
        return {i.task_id: str(i.state) for i in made.get_task_instances()}

    return run


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder into which the settings have pages written."""
    monkeypatch.setenv("PROCESSING_TIME__REPORTS__HTML", str(tmp_path / "pages"))
    return tmp_path / "pages"


@pytest.fixture(scope="session")
def accounts() -> dict[str, Account]:
    """Three weeks of the application in each world, with a day of trouble in the week of the report."""
    trouble = (Trouble(MONDAY - timedelta(days=5), MONDAY - timedelta(days=4), 0.5, company_id=2),)
    return {
        world: generate(
            Plan(
                MONDAY - timedelta(hours=1),
                world=world,
                days=21,
                phase_failures=trouble,
                sync_failures=trouble,
            )
        )
        for world in ("guide", "deployed")
    }


@pytest.fixture
def guide(accounts: dict[str, Account], application: Application, watch: Watch) -> Account:
    application.build(accounts["guide"])
    watch(application)
    return accounts["guide"]


@pytest.fixture
def weekly(application: Application, mariadb: MariaDB) -> Weekly:
    """What is kept of weeks, by first day, metric and company."""

    def read() -> dict[tuple[date, str, int], dict[str, Any]]:
        found = rows(application, mariadb, "SELECT * FROM weekly")
        return {(r["period_start"], r["metric"], r["company_id"]): r for r in found}

    return read


def week_of(account: Account, first: date, company: int = 0) -> dict[str, tuple[float, float]]:
    """The week counted from what was generated, by local dates."""
    days = {first + timedelta(days=n) for n in range(7)}

    def local(at: datetime) -> date:
        return at.astimezone(BERLIN).date()

    created = [
        a
        for a in account.appointments
        if not a.deleted and local(a.created_at) in days and company in (0, a.service.company_id)
    ]
    own = [a for a in created if account.flags.allow(a.service)]
    complete = [a for a in own if a.phases]
    durations = [
        r.duration_ms
        for r in account.records
        if r.happening == "phases_created" and local(r.at) in days and r.duration_ms
    ]
    looked = Counter(r.happening for r in account.records if local(r.at) in days)
    hits, misses = looked["cache_hit"], looked["cache_miss"]
    allowed = [
        s
        for s in account.services
        if account.flags.allow(s) and not s.withdrawn and company in (0, s.company_id)
    ]
    return {
        "phase_creation_success_rate": (len(complete), len(own)),
        "orphaned_appointments": (len(own) - len(complete), len(own)),
        "calcom_sync_success_rate": (sum(a.sync == "synced" for a in own), len(own)),
        "phase_distribution": (sum(len(a.phases) for a in complete), len(complete)),
        "appointment_share": (len(own), len(created)),
        "service_adoption": (len({a.service.id for a in own}), len(allowed)),
        **(
            {
                "phase_creation_time": (pytest.approx(sum(durations)), len(durations)),
                "availability_cache_hit_rate": (hits, hits + misses),
            }
            if not company
            else {}
        ),
    }


@pytest.mark.parametrize("world", ["guide", "deployed"])
def test_the_week_equals_an_independent_count(
    world: str,
    accounts: dict[str, Account],
    application: Application,
    watch: Watch,
    report: Report,
    weekly: Weekly,
) -> None:
    account = accounts[world]
    application.build(account)
    watch(application)
    assert report() == {"report": "success", "deliver": "success"}
    kept = weekly()
    for company in (0, *(c.id for c in account.companies)):
        counted = week_of(account, FIRST, company)
        if world == "deployed":
            counted.pop("phase_creation_time", None)
            counted.pop("availability_cache_hit_rate", None)
        for key, figures in counted.items():
            if company and not (figures[1] and counted["service_adoption"][1]):
                assert (FIRST, key, company) not in kept
                continue
            row = kept[FIRST, key, company]
            assert (row["numerator"], row["denominator"]) == figures, (key, company)
        before = week_of(account, FIRST - timedelta(days=7), company)["phase_creation_success_rate"]
        if before[1] and counted["phase_creation_success_rate"][1]:
            row = kept[FIRST, "phase_creation_success_rate", company]
            assert row["previous_value"] == pytest.approx(100 * before[0] / before[1])
    assert {first for first, _, _ in kept} == {FIRST}


def test_a_log_that_is_silent_at_the_end_of_the_week_is_no_lost_log(
    accounts: dict[str, Account], application: Application, watch: Watch, report: Report, weekly: Weekly
) -> None:
    thursday = FIRST + timedelta(days=3)
    account = copy(accounts["guide"])
    account.records = [r for r in account.records if r.at.astimezone(BERLIN).date() <= thursday]
    application.build(account)
    watch(application)
    report()
    row = weekly()[FIRST, "phase_creation_time", 0]
    assert (row["numerator"], row["denominator"]) == week_of(account, FIRST)["phase_creation_time"]


def test_slack_gets_one_message_a_chart_and_the_details(
    guide: Account, slack: StandInSlack, report: Report
) -> None:
    report()
    messages = slack.messages(REPORTS)
    roots = [m for m in messages if m.get("thread_ts", m["ts"]) == m["ts"]]
    first, chart = roots
    assert "week 13" in first["text"]
    assert len(first["blocks"]) <= 5
    (picture,) = chart["files"]
    assert picture["name"] == "weekly-2026-03-23-1.png"
    thread = slack.thread(REPORTS, first["ts"])[1:]
    assert [f["name"] for m in thread for f in m.get("files", [])] == ["weekly-2026-03-23.html"]
    text = "\n".join(m["text"] for m in thread)
    for part in ("Weekly checklist", "Services with processing time", "Baseline", "not measurable here"):
        assert part in text
    for customer in guide.customers:
        assert customer.name not in text


def test_a_repeated_run_keeps_the_same_and_tells_nobody_again(
    guide: Account, slack: StandInSlack, report: Report, weekly: Weekly
) -> None:
    report()
    kept, told = weekly(), len(slack.messages())
    report()
    report(MONDAY + timedelta(hours=9))
    assert weekly() == kept
    assert len(slack.messages()) == told


def test_a_dry_run_and_another_day_keep_and_tell_nothing(
    guide: Account,
    slack: StandInSlack,
    report: Report,
    pages: Path,
    weekly: Weekly,
) -> None:
    assert report(dry_run=True)["report"] == "success"
    assert not list(pages.glob("*"))
    assert report(MONDAY - timedelta(days=1))["report"] == "success"
    assert [page.name for page in pages.glob("*")] == ["weekly-2026-03-22.html"]
    assert slack.messages() == []
    assert weekly() == {}


def test_weeks_written_in_any_order_know_their_predecessor(
    guide: Account, report: Report, weekly: Weekly
) -> None:
    key = ("phase_creation_success_rate", 0)
    report()
    report(MONDAY - timedelta(days=7))
    kept = weekly()
    earlier, later = kept[FIRST - timedelta(days=7), *key], kept[FIRST, *key]
    assert later["previous_value"] == earlier["value"]
    assert (earlier["trend"], later["trend"]) == ("flat", "down")


def test_one_company_only(guide: Account, slack: StandInSlack, report: Report, weekly: Weekly) -> None:
    report(company_id=2)
    kept = weekly()
    assert {company for _, _, company in kept} == {2}
    row = kept[FIRST, "phase_creation_success_rate", 2]
    assert (row["numerator"], row["denominator"]) == week_of(guide, FIRST, 2)["phase_creation_success_rate"]
    assert "company 2" in slack.messages(REPORTS)[0]["text"]
    report()
    assert weekly()[FIRST, "phase_creation_success_rate", 2] == row
    assert sum("week 13" in m["text"] for m in slack.messages(REPORTS)) == 2


def test_a_company_that_does_not_exist_is_refused(
    guide: Account,
    slack: StandInSlack,
    report: Report,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert report(company_id=99)["report"] == "failed"
    assert slack.messages() == []


def test_a_page_goes_where_the_settings_say_and_slack_links_to_it(
    guide: Account,
    slack: StandInSlack,
    report: Report,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__REPORTS__HTML", f"file://{tmp_path}/pages")
    monkeypatch.setenv("PROCESSING_TIME__REPORTS__HTML_URL", "https://reports.example.org/booking/")
    monkeypatch.setenv("PROCESSING_TIME__REPORTS__LANGUAGE", "de")
    report()
    page = (tmp_path / "pages" / "weekly-2026-03-23.html").read_text(encoding="utf-8")
    assert '<html lang="de">' in page
    assert "167 Stunden" in page
    first = slack.messages(REPORTS)[0]
    assert "https://reports.example.org/booking/weekly-2026-03-23.html" in first["text"]
    assert "Woche 13" in first["text"]
    assert not [f for m in slack.messages() for f in m.get("files", []) if f["name"].endswith(".html")]


def test_without_the_database_there_is_no_report_and_what_is_kept_stays(
    guide: Account, slack: StandInSlack, report: Report, monkeypatch: pytest.MonkeyPatch, weekly: Weekly
) -> None:
    report()
    kept = weekly()
    slack.reset()
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_MYSQL", "mysql://nobody:nothing@127.0.0.1:1/booking")
    assert report()["report"] == "failed"
    assert weekly() == kept
    (message,) = slack.messages()
    assert message["text"].startswith(
        ":warning: A report is missing: task report of processing_time_weekly_report"
    )


def test_a_backfill_keeps_the_week_and_tells_nobody(
    guide: Account,
    slack: StandInSlack,
    report: Report,
    monkeypatch: pytest.MonkeyPatch,
    pages: Path,
    weekly: Weekly,
) -> None:
    monkeypatch.setattr("processing_time.operators.run.backfill", lambda context: True)
    assert report() == {"report": "success", "deliver": "success"}
    assert (FIRST, "phase_creation_success_rate", 0) in weekly()
    assert slack.messages() == []
    assert not list(pages.glob("*"))
