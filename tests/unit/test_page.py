# SPDX-License-Identifier: MIT
"""The status page as data: the sentence for now, lines with gaps, phases by hour, companies, reports, OpenMetrics."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from processing_time.model import Alert, AlertState, Sample, Severity, State, Verdict, Window
from processing_time.page import companies, lines, openmetrics, overview, periods, targets, words
from processing_time.page.hours import hours
from processing_time.page.rendering import render
from processing_time.page.status import status
from processing_time.settings import Settings, load
from processing_time.store_page import Newest, Overview, Point
from processing_time.store_reports import Period, Rolled, Trend
from processing_time.store_rows import Check

AT = datetime(2026, 6, 10, 12, tzinfo=UTC)
"""14:00 in Berlin, a Wednesday."""
RATE = "phase_creation_success_rate"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load()


def check(state: State = State.OK, at: datetime = AT) -> Check:
    return Check(at, "run/1", state, None, {"mysql": {}, "log": {}, "redis": {}}, at, True)


def verdict(
    metric: str = RATE, state: State = State.OK, value: float | None = 99.5, company: int = 0
) -> Verdict:
    sample = Sample(metric, Window(AT - timedelta(hours=14), AT), company, value, 199, 200)
    severity = Severity.HIGH if state.bad else None
    return Verdict(sample, state, severity, "199 of 200", "< 95 %")


def alert(rule: str = RATE, opened: datetime = AT, **more: Any) -> Alert:
    return Alert(
        **{
            "rule": rule,
            "company_id": 0,
            "severity": Severity.HIGH,
            "level": 1,
            "state": AlertState.FIRING,
            "opened_at": opened,
            "last_seen_at": AT,
            "last_counted_at": opened,
            "last_told_at": opened,
            "id": 1,
            **more,
        }
    )


def rows(**more: Any) -> Overview:
    newest = Newest(check(), (verdict(),), (), 0, 0)
    return Overview(**{"newest": newest, **more})


def page_of(rows: Overview, settings: Settings, present: datetime = AT) -> overview.OverviewPage:
    week, months = lines.week_start(AT, settings.zone), lines.months_until(AT, settings.zone)
    return overview.page(rows, settings, present, week, months)


# --- now --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "state", "overdue"),
    [
        pytest.param(timedelta(minutes=59), State.OK, False, id="before the next"),
        pytest.param(timedelta(minutes=60), State.OK, False, id="due"),
        pytest.param(timedelta(minutes=70), State.OK, False, id="at its deadline"),
        pytest.param(timedelta(minutes=70, seconds=1), State.UNKNOWN, True, id="past its deadline"),
        pytest.param(timedelta(days=30), State.UNKNOWN, True, id="a month later"),
    ],
)
def test_a_check_is_overdue_from_its_deadline_on(
    settings: Settings, after: timedelta, state: State, overdue: bool
) -> None:
    found = status(check(), (verdict(),), settings, AT + after)
    assert (found.state, bool(found.overdue)) == (state, overdue)
    if overdue:
        assert "The check of " in found.overdue
        assert "15:00 has not finished" in found.overdue
        assert found.sentence.startswith("Nobody knows how it is now.")


def test_the_night_is_not_overdue(settings: Settings) -> None:
    evening = AT.replace(hour=18)
    found = status(check(at=evening), (verdict(),), settings, evening + timedelta(hours=11, minutes=50))
    assert found.overdue == ""
    assert found.due == "Thu 11 Jun 2026, 08:00 Europe/Berlin (in 10 min)"


@pytest.mark.parametrize(
    ("of", "states", "sentence"),
    [
        (State.OK, {RATE: State.OK}, "Everything that can be judged is as it should be: 1 of 1."),
        (State.CRITICAL, {RATE: State.CRITICAL}, "Critical: Phase creation success rate (99.50 %)."),
        (State.ALERT, {RATE: State.ALERT}, "Something is wrong: Phase creation success rate (99.50 %)."),
        (State.OK, {"stale_phases": State.ALERT}, "To look at: Stale phases (99.5 appointments)."),
        (
            State.UNKNOWN,
            {RATE: State.UNKNOWN},
            "Not everything can be measured: Phase creation success rate.",
        ),
        (
            State.DEGRADED,
            {RATE: State.DEGRADED},
            "Nothing alerts; below target: Phase creation success rate (99.50 %).",
        ),
        (State.INSUFFICIENT_DATA, {RATE: State.INSUFFICIENT_DATA}, "There is not enough to judge yet."),
    ],
)
def test_the_sentence_names_what_matters_most(
    settings: Settings, of: State, states: dict[str, State], sentence: str
) -> None:
    verdicts = [verdict(metric, state) for metric, state in states.items()]
    found = status(check(of), verdicts, settings, AT)
    assert (found.state, found.sentence) == (of, sentence)


def test_nothing_measured_is_unknown_and_shows_no_metric(settings: Settings) -> None:
    page = page_of(Overview(Newest()), settings)
    assert page.status.state is State.UNKNOWN
    assert page.metrics == ()
    html = render("overview.html", page=page)
    assert "No alert is open." not in html
    assert "✓" not in html


def test_what_an_overdue_page_says_of_alerts_is_in_the_past(settings: Settings) -> None:
    html = render("overview.html", page=page_of(rows(), settings, AT + timedelta(days=1)))
    assert "No alert was open then." in html
    assert "No alert is open." not in html


def test_a_metric_without_a_row_is_unknown(settings: Settings) -> None:
    shown = {m.key: m for m in page_of(rows(), settings).metrics}
    assert shown[RATE].state is State.OK
    other = shown["calcom_sync_success_rate"]
    assert (other.state, other.value, other.reason) == (State.UNKNOWN, "–", "not in the newest check")
    assert other.threshold == "< 95 % (critical < 90 %)"


# --- alerts -----------------------------------------------------------------------------------------------------


def test_an_open_alert_has_its_links(settings: Settings) -> None:
    taken = alert(
        opened=AT - timedelta(hours=3, minutes=5),
        state=AlertState.ACKNOWLEDGED,
        acknowledged_by="U1",
        acknowledged_at=AT - timedelta(hours=1),
        slack_channel="C1",
        slack_ts="1700000000.000100",
    )
    newest = Newest(check(), (verdict(),), (taken,), 1, 0)
    (shown,) = page_of(rows(newest=newest, runs={AT: "manual__1+2"}), settings).alerts
    assert shown.age == "3 h 5 min"
    assert shown.taken == "U1 at 13:00"
    assert shown.thread == "https://slack.com/archives/C1/p1700000000000100"
    assert shown.run == "../dags/processing_time_health_check/runs/manual__1%2B2"
    assert shown.runbook.endswith(f"#{RATE}")


def test_an_alert_that_slack_has_not_taken_has_no_thread(settings: Settings) -> None:
    newest = Newest(check(), (verdict(),), (alert(),), 3, 2)
    page = page_of(rows(newest=newest), settings)
    assert (page.alerts[0].thread, page.alerts[0].run, page.left_out) == ("", "", 2)
    html = render("overview.html", page=page)
    assert "2 more are open." in html
    assert "2 messages wait for Slack" in html


def test_what_the_store_holds_is_escaped(settings: Settings) -> None:
    hostile = replace(verdict(), reason="<script>alert(1)</script>", muted="& <b>")
    html = render("overview.html", page=page_of(rows(newest=Newest(check(), (hostile,))), settings))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


# --- lines ------------------------------------------------------------------------------------------------------


def points(*hours_: float, value: float | None = 99.0) -> list[Point]:
    return [Point(AT + timedelta(hours=h), value, State.OK) for h in hours_]


def week(points_: list[Point], settings: Settings, *alerts: Alert, key: str = RATE) -> lines.Line:
    return lines.week(key, points_, alerts, settings, lines.week_start(AT, settings.zone), AT)


def test_a_line_breaks_where_a_check_is_missing_and_not_at_night(settings: Settings) -> None:
    evening_and_morning = points(-18, -6, -5)
    assert len(week(evening_and_morning, settings).runs) == 1
    assert [len(run) for run in week(points(-5, -4, -2, -1), settings).runs] == [2, 2]


def test_a_line_breaks_where_nothing_could_be_measured_and_marks_it(settings: Settings) -> None:
    line = week([*points(-3), *points(-2, value=None), *points(-1)], settings)
    assert [len(run) for run in line.runs] == [1, 1]
    assert line.unmeasured == pytest.approx([6 + 12 / 24], abs=1e-3)
    assert "1 could not be measured" in line.alt


def test_the_week_is_seven_local_days(settings: Settings) -> None:
    start = lines.week_start(AT, settings.zone)
    assert start == datetime(2026, 6, 3, 22, tzinfo=UTC)
    assert week(points(0), settings).span == 7
    spring = datetime(2026, 3, 29, 12, tzinfo=UTC)
    line = lines.week(RATE, (), (), settings, lines.week_start(spring, settings.zone), spring)
    assert line.span == pytest.approx(7 - 1 / 24, abs=1e-3)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234567.0, "keys", "1234567 keys"),
        (3, "", "3"),
        (0.25, "", "0.25"),
        (99.999, "%", "100.00 %"),
        (2.0, "×", "2.0×"),
        (None, "keys", "–"),
    ],
)
def test_a_quantity_is_read_without_an_exponent(value: float | None, unit: str, text: str) -> None:
    assert words.quantity(value, unit) == text


def test_days_without_a_check_are_on_the_axis(settings: Settings) -> None:
    start = lines.week_start(AT + timedelta(days=3), settings.zone)
    old = lines.week(RATE, points(-2, -1), (), settings, start, AT)
    assert old.span == 7
    assert max(place for run in old.runs for place, _ in run) < 4
    assert max(place for place, _ in old.ticks) < 7


def test_incidents_are_those_of_the_metric_wide_enough_to_be_seen_and_merged(settings: Settings) -> None:
    short = alert(opened=AT - timedelta(days=2), resolved_at=AT - timedelta(days=2) + timedelta(minutes=5))
    again = alert(opened=AT - timedelta(days=2) + timedelta(minutes=10), resolved_at=AT - timedelta(days=1))
    blind = alert(rule=f"{RATE}.unknown", opened=AT - timedelta(hours=1))
    other = alert(rule="stale_phases", opened=AT - timedelta(days=4))
    line = week(points(0), settings, other, blind, again, short)
    now = 6 + 14 / 24
    assert line.incidents == (
        pytest.approx((now - 2, now - 1), abs=1e-3),
        pytest.approx((now - 1 / 24, now - 1 / 24 + 7 / lines.FINENESS), abs=1e-2),
    )
    assert line.alt.endswith("3 incidents.")


def test_months_stand_in_their_month_and_break_where_one_is_missing(settings: Settings) -> None:
    starts = lines.months_until(AT, settings.zone)
    assert (starts[0], starts[-1], len(starts)) == (date(2025, 5, 1), date(2026, 6, 1), 14)
    kept = [rolled(date(2025, 12, 1)), rolled(date(2026, 1, 1)), rolled(date(2026, 4, 1))]
    line = lines.months(RATE, kept, (), settings, starts, AT)
    assert [len(run) for run in line.runs] == [2, 1]
    # 1 May 2025 to the middle of December: 214 days, an hour more since summer time ended, and half of 31.
    assert line.runs[0][0] == pytest.approx((214 + 1 / 24 + 15.5, 98.0), abs=1e-3)
    assert line.alt.startswith("Phase creation success rate, 13 months: 3 months, from 98.00 % to 98.00 %")


def test_the_bounds_of_every_metric_can_be_drawn(settings: Settings) -> None:
    for metric in page_of(rows(), settings).metrics:
        html = render("overview.html", page=replace(page_of(rows(), settings), metrics=(metric,)))
        assert metric.title in html
    found = {
        key: [name for name, _ in week(points(0), settings, key=key).bounds]
        for key in overview.watched(settings)
    }
    assert found[RATE] == ["target", "alert", "critical"]
    assert found["phase_distribution"] == ["target, alert"]
    assert found["phase_creation_failures"] == ["alert"]


def test_a_drawing_takes_its_colours_from_the_page_and_nothing_from_elsewhere(settings: Settings) -> None:
    drawn = str(render("overview.html", page=page_of(rows(points={RATE: points(-2, -1)}), settings)))
    svg = drawn[drawn.index("<svg") : drawn.index("</svg>")]
    assert "var(--series-1)" in svg
    assert "#0101" not in svg
    assert 'role="img" aria-label="Phase creation success rate, 7 days: 2 measurements' in svg


# --- phases by hour -----------------------------------------------------------------------------------------------


def test_phases_by_hour_are_the_differences_of_the_checks(settings: Settings) -> None:
    start = datetime(2026, 6, 9, 22, tzinfo=UTC)
    counted = [
        (start + timedelta(hours=8), {"initial": 3, "final": 2}),
        (start + timedelta(hours=9), {"initial": 5, "processing": 1, "final": 2}),
        (start + timedelta(hours=11), {"initial": 4, "processing": 6, "final": 9}),
    ]
    found = hours(counted, start, settings)
    assert found is not None
    assert found.labels == ("00:00–08:00", "08:00–09:00", "09:00–11:00")
    assert found.counts == (("initial", (3, 2, 0)), ("processing", (0, 1, 5)), ("final", (2, 0, 7)))
    assert hours([], start, settings) is None
    assert hours([(start, {})], start, settings) is None


# --- companies and reports ------------------------------------------------------------------------------------------


def test_the_worst_companies_come_first(settings: Settings) -> None:
    verdicts = [
        verdict(company=3),
        verdict(company=7, state=State.CRITICAL, value=80.0),
        verdict("stale_phases", company=3, state=State.DEGRADED, value=1.0),
        verdict(company=5),
    ]
    keys, table = companies.table(verdicts, settings)
    assert keys == [RATE, "stale_phases"]
    assert [(row.id, row.state) for row in table] == [(7, State.CRITICAL), (3, State.DEGRADED), (5, State.OK)]
    assert table[0].cells[0] == companies.Cell("80.00 %", State.CRITICAL, 80.0, "199 of 200")
    assert table[0].cells[1] == companies.Cell()


def rolled(start: date, metric: str = RATE, **more: Any) -> Rolled:
    return Rolled(
        **{
            "period_start": start,
            "metric": metric,
            "company_id": 0,
            "value": 98.0,
            "numerator": 98,
            "denominator": 100,
            "samples": 100,
            **more,
        }
    )


def test_a_report_shows_the_newest_period_and_leads_to_the_others(settings: Settings) -> None:
    starts = [date(2026, 6, 1), date(2026, 5, 25)]
    kept = [rolled(starts[0], "no_longer_known"), rolled(starts[0], previous_value=97.0, trend=Trend.UP)]
    shown = periods.shown(Period.WEEKLY, None, starts, kept, settings)
    assert shown.period == "01 Jun – 07 Jun 2026"
    assert [line.title for line in shown.lines] == ["Phase creation success rate", "No longer known"]
    first = shown.lines[0]
    assert (first.value, first.before, first.trend, first.samples) == ("98.00 %", "97.00 %", "↗ up", 100)
    assert [(value, current) for value, _, current in shown.others] == [
        ("2026-06-01", True),
        ("2026-05-25", False),
    ]
    assert shown.page == ""
    empty = periods.shown(Period.MONTHLY, None, [], [], settings)
    assert empty.period == ""
    assert "No monthly report has been made yet." in render("reports.html", reports=[empty])


def test_a_published_report_is_linked(settings: Settings) -> None:
    reports = settings.reports.model_copy(
        update={"html": "/srv/reports", "html_url": "https://reports.example.org/"}
    )
    own = settings.model_copy(update={"reports": reports})
    assert periods.shown(Period.MONTHLY, date(2026, 5, 1), [], [], own).page == (
        "https://reports.example.org/monthly-2026-05.html"
    )


# --- several applications -------------------------------------------------------------------------------------------


@pytest.fixture
def hamburg(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a target."""
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", '{"hamburg": {}}')
    return load(target="hamburg")


def test_what_a_target_s_page_leads_to_is_the_target_s(hamburg: Settings) -> None:
    newest = Newest(check(), (verdict(),), (alert(),), 1, 0)
    page = page_of(rows(newest=newest, runs={AT: "manual__1"}), hamburg)
    run = "../../dags/processing_time_health_check__hamburg/runs/"
    assert (page.run, page.alerts[0].run) == (f"{run}run%2F1", f"{run}manual__1")
    reports = hamburg.reports.model_copy(update={"html_url": "https://reports.example.org"})
    own = hamburg.model_copy(update={"reports": reports})
    assert periods.shown(Period.MONTHLY, date(2026, 5, 1), [], [], own).page == (
        "https://reports.example.org/monthly-2026-05__hamburg.html"
    )
    never = status(None, (), hamburg, AT)
    assert "switch on the DAG processing_time_health_check__hamburg," in never.sentence


@pytest.mark.parametrize(
    ("levels", "count", "text"),
    [
        ((), 0, "none"),
        ((1,), 1, "1 at level 1 · channel"),
        ((2, 1, 4, 2), 4, "1 at level 4 · rollback, 2 at level 2 · on-call, 1 at level 1 · channel"),
        ((1, 1), 9, "2 at level 1 · channel, 7 more"),
    ],
)
def test_the_list_counts_open_alerts_by_level(
    hamburg: Settings, levels: tuple[int, ...], count: int, text: str
) -> None:
    newest = Newest(check(), (verdict(),), [alert(level=level) for level in levels], count, 0)
    row = targets.target(newest, hamburg, AT)
    assert (row.name, row.alerts, row.status.state) == ("hamburg", text, State.OK)


def test_a_target_that_was_never_checked_is_unknown_in_the_list(hamburg: Settings) -> None:
    row = targets.target(Newest(), hamburg, AT)
    html = render("targets.html", page=targets.TargetsPage(State.UNKNOWN, (), (row,)))
    assert "Last measured</dt><dd>never" in html
    assert "✓" not in html


# --- OpenMetrics --------------------------------------------------------------------------------------------------


class Stub:
    """A store that gives what a test puts into it."""

    def __init__(self, newest: Newest) -> None:
        self._newest = newest

    def newest(self, _: Any) -> Newest:
        return self._newest


def exposed(newest: Newest, settings: Settings, present: datetime) -> dict[tuple[str, str], float]:
    text = openmetrics.expose(Stub(newest), settings, present).decode()  # type: ignore[arg-type]
    return {
        (s.name, next(iter(s.labels.values()), "")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.value or "state" not in s.name
    }


def test_openmetrics_tell_an_unmeasured_metric_by_its_state_only(settings: Settings) -> None:
    blind = verdict("calcom_sync_success_rate", State.UNKNOWN, None)
    newest = Newest(check(State.UNKNOWN), (verdict(), blind), (alert(),), 1, 4, {Severity.HIGH: 1})
    found = exposed(newest, settings, AT)
    assert found["processing_time_value", RATE] == 99.5
    assert ("processing_time_value", "calcom_sync_success_rate") not in found
    assert found["processing_time_state", "unknown"] == 1
    assert found["processing_time_check_as_of_timestamp_seconds", ""] == AT.timestamp()
    assert found["processing_time_check_due_timestamp_seconds", ""] == AT.timestamp() + 3600
    assert found["processing_time_check_overdue", ""] == 0
    assert found["processing_time_alerts_open", "high"] == 1
    assert found["processing_time_messages_owed", ""] == 4


@pytest.mark.parametrize("newest", [Newest(), Newest(check(), (verdict(),))], ids=["no check", "a late one"])
def test_openmetrics_tell_that_nobody_is_watching(settings: Settings, newest: Newest) -> None:
    found = exposed(newest, settings, AT + timedelta(days=1))
    assert found["processing_time_check_overdue", ""] == 1
    assert found["processing_time_state", "unknown"] == 1
