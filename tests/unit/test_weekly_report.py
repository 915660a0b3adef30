# SPDX-License-Identifier: MIT
"""The parts of the weekly report that only compute: its week, blind hours, trends, what the log and the checks add up to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time.model import Alert, AlertState, Loss, Sample, Severity, Window
from processing_time.reports import weekly_log, weekly_tables, weekly_trend, weekly_words
from processing_time.reports.language import Language
from processing_time.reports.monthly_samples import Reading
from processing_time.reports.weekly_history import Lost, Watch
from processing_time.reports.weekly_period import Week
from processing_time.reports.weekly_watch import blind_hours
from processing_time.rule_tests import overlaid
from processing_time.settings import load
from processing_time.store_reports import Rolled, Trend

BERLIN = ZoneInfo("Europe/Berlin")
HOURLY = "0 8-20 * * *"
WEEK = Week(date(2026, 7, 6), BERLIN)
RATE, TIME, RULE = "phase_creation_success_rate", "phase_creation_time", "phase_creation_failures"


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


# --- the week -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("as_of", "first", "hours", "number", "whole"),
    [
        ("2026-07-13T08:30", "2026-07-06", 168, 28, True),
        ("2026-03-30T08:30", "2026-03-23", 167, 13, True),
        ("2026-10-26T08:30", "2026-10-19", 169, 43, True),
        ("2026-10-26T00:00", "2026-10-19", 169, 43, True),
        ("2026-10-25T23:59", "2026-10-18", 168, 42, False),
        ("2021-01-04T08:30", "2020-12-28", 168, 53, True),
        ("2025-01-06T08:30", "2024-12-30", 168, 1, True),
        ("2026-07-15T12:00", "2026-07-08", 168, 28, False),
    ],
)
def test_the_week_of_an_instant(as_of: str, first: str, hours: int, number: int, whole: bool) -> None:
    week = Week.before(berlin(as_of), BERLIN)
    assert week.first == date.fromisoformat(first)
    assert week.window.length == timedelta(hours=hours)
    assert (week.number, week.whole) == (number, whole)
    assert week.previous.window.end == week.window.start
    assert [d.start for d in week.days][1:] == [d.end for d in week.days][:-1]
    assert (week.days[0].start, week.days[-1].end) == (week.window.start, week.window.end)


# --- words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["en", "de"])
def test_a_title_is_told_as_it_is_written(code: str) -> None:
    """Braces in it are no place to fill in."""
    settings = overlaid({"metrics": {TIME: {"title": "Key {team}:{service}"}}})
    nothing: Any = None
    words = weekly_words.Words(nothing, settings, Language(code, BERLIN))
    assert words.title(TIME) == "Key {team}:{service}"
    at = WEEK.window.start
    alert = Alert(TIME, 0, Severity.HIGH, 1, AlertState.FIRING, at, at, at, at)
    assert weekly_tables._rule(words, alert) == "Key {team}:{service}"


# --- blind hours ------------------------------------------------------------------------------------------------


def ticks(week: Week = WEEK) -> list[datetime]:
    return [berlin(f"{day}T{hour:02}:00") for day in week.dates for hour in range(8, 21)]


def watched(but: Iterable[str] = (), lost: Iterable[Lost] = (), first: datetime | None = None) -> Watch:
    missing = {berlin(text) for text in but}
    return Watch(
        first or WEEK.previous.window.start, tuple(t for t in ticks() if t not in missing), tuple(lost)
    )


def shown(watch: Watch, week: Week = WEEK) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [
        (f"{b.since.astimezone(BERLIN):%a %H:%M}", f"{b.until.astimezone(BERLIN):%H:%M}", b.hours, b.lost)
        for b in blind_hours(watch, week.window, HOURLY, BERLIN)
    ]


def test_a_week_with_all_its_checks_is_not_blind() -> None:
    assert shown(watched()) == []


def test_missing_checks_in_a_row_are_one_stretch_and_a_night_ends_it() -> None:
    missing = ["2026-07-08T19:00", "2026-07-08T20:00", "2026-07-09T08:00", "2026-07-09T12:00"]
    assert shown(watched(missing)) == [
        ("Wed 19:00", "21:00", 2, ()),
        ("Thu 08:00", "09:00", 1, ()),
        ("Thu 12:00", "13:00", 1, ()),
    ]


def test_a_late_check_counts_for_its_hour_and_one_by_hand_too() -> None:
    at = berlin("2026-07-08T10:00")
    watch = Watch(ticks()[0], (*(t for t in ticks() if t != at), at + timedelta(minutes=40)), ())
    assert shown(watch) == []


def test_what_was_lost_is_named_and_another_loss_is_another_stretch() -> None:
    def lost(clock: str, metric: str) -> Lost:
        return Lost(berlin(f"2026-07-08T{clock}"), metric, "the log is gone", whole_source=True)

    losses = [lost("10:00", TIME), lost("11:00", TIME), lost("12:00", RATE)]
    assert shown(watched(lost=losses)) == [
        ("Wed 10:00", "12:00", 2, (TIME,)),
        ("Wed 12:00", "13:00", 1, (RATE,)),
    ]


def test_an_hour_that_was_measured_again_is_not_blind() -> None:
    at = berlin("2026-07-08T10:00")
    checks = tuple(sorted([*ticks(), at + timedelta(minutes=40)]))
    losses = (Lost(at, TIME, "the log is gone", whole_source=True),)
    assert shown(Watch(ticks()[0], checks, losses)) == []


def test_nobody_is_blind_before_the_first_check() -> None:
    first = berlin("2026-07-11T20:00")
    assert shown(Watch(first, (first,), ()))[0][:2] == ("Sun 08:00", "21:00")
    assert shown(Watch(None, (), ())) == []


@pytest.mark.parametrize("first", ["2026-03-23", "2026-10-19"])
def test_a_change_of_the_clocks_blinds_nobody(first: str) -> None:
    week = Week(date.fromisoformat(first), BERLIN)
    assert shown(Watch(week.window.start, tuple(ticks(week)), ()), week) == []
    hours = [b.hours for b in blind_hours(Watch(week.window.start, (), ()), week.window, HOURLY, BERLIN)]
    assert hours == [13] * 7


# --- trends -----------------------------------------------------------------------------------------------------


def rolled(
    key: str, numerator: float, denominator: float, start: date = WEEK.first, **more: object
) -> Rolled:
    kind = {RATE: 100 * numerator / (denominator or 1), "overlapping_bookings": numerator}.get(
        key, numerator / (denominator or 1)
    )
    return Rolled(start, key, 0, kind if denominator else None, numerator, denominator, 1, **more)


@pytest.mark.parametrize(
    ("key", "now", "before", "trend"),
    [
        (RATE, (900, 1000), (990, 1000), Trend.DOWN),
        (RATE, (990, 1000), (900, 1000), Trend.UP),
        (RATE, (98, 100), (99, 100), Trend.FLAT),
        (RATE, (100, 100), (100, 100), Trend.FLAT),
        (RATE, (5, 10), (990, 1000), Trend.TOO_FEW),
        (RATE, (0, 0), (990, 1000), Trend.TOO_FEW),
        ("overlapping_bookings", (400, 500), (300, 500), Trend.UP),
        ("overlapping_bookings", (310, 500), (300, 500), Trend.FLAT),
        ("overlapping_bookings", (0, 500), (0, 500), Trend.FLAT),
        (TIME, (4000, 100), (3000, 100), Trend.UP),
        (TIME, (3100, 100), (3000, 100), Trend.FLAT),
        (TIME, (0, 100), (0, 100), Trend.FLAT),
        ("appointment_share", (900, 1000), (500, 1000), Trend.UP),
    ],
)
def test_a_week_against_the_one_before(
    key: str, now: tuple[int, int], before: tuple[int, int], trend: Trend
) -> None:
    assert weekly_trend.compare(rolled(key, *now), rolled(key, *before), load()) is trend


def test_without_a_kept_predecessor_the_row_says_itself() -> None:
    row = rolled(RATE, 99, 100, trend=Trend.UP)
    assert weekly_trend.trend([row], load()) is Trend.UP
    older = rolled(RATE, 10, 100, start=WEEK.first - timedelta(weeks=2))
    assert weekly_trend.trend([older, row], load()) is Trend.UP
    before = rolled(RATE, 100, 100, start=WEEK.first - timedelta(weeks=1))
    assert weekly_trend.trend([before, row], load()) is Trend.FLAT


# --- the log ----------------------------------------------------------------------------------------------------


def reading(start: str, end: str, numerator: float, denominator: float | None, key: str = TIME) -> Reading:
    value = numerator / denominator if denominator else numerator
    return Reading(key, 0, Window(berlin(start), berlin(end)), value, numerator, denominator)


def chosen(read: dict[str, Sample] | str, readings: list[Reading]) -> weekly_log.Measured:
    settings = load()
    if isinstance(read, dict):
        everything = {
            key: Sample(key, WEEK.window).lost(Loss.NEVER, "none") for key in settings.enabled("log")
        }
        read = {**everything, **read}
    found = {m.sample.metric: m for m in weekly_log.choose(WEEK, read, readings, settings)}
    assert list(found) == settings.enabled("log")
    return found[TIME]


def direct(numerator: float, denominator: float) -> dict[str, Sample]:
    return {TIME: Sample(TIME, WEEK.window, 0, numerator / denominator, numerator, denominator)}


NIGHT = reading("2026-07-05T20:00", "2026-07-06T08:00", 50, 2)
INSIDE = [
    reading("2026-07-06T08:00", "2026-07-06T09:00", 300, 10),
    reading("2026-07-06T09:00", "2026-07-06T10:00", 500, 10),
]


def test_the_log_is_taken_while_it_holds_what_the_checks_inside_the_week_saw() -> None:
    found = chosen(direct(810, 21), [NIGHT, *INSIDE])
    assert (found.sample.numerator, found.sample.denominator, found.samples) == (810, 21, 1)


def test_a_log_that_lost_records_is_replaced_by_what_the_checks_saw() -> None:
    found = chosen(direct(300, 10), [NIGHT, *INSIDE])
    assert (found.sample.numerator, found.sample.denominator, found.samples) == (850, 22, 3)
    assert found.sample.value == pytest.approx(850 / 22)


def test_a_log_that_cannot_be_read_is_replaced_too() -> None:
    assert chosen("no log", INSIDE).sample.denominator == 20
    lost = {TIME: Sample(TIME, WEEK.window).lost(Loss.LOST, "silent")}
    assert chosen(lost, INSIDE).sample.denominator == 20


def test_with_neither_the_reason_is_told() -> None:
    found = chosen("no log", [])
    assert (found.sample.loss, found.sample.reason, found.samples) == (Loss.SOURCE, "no log", 0)
    assert chosen({}, []).sample.loss is Loss.NEVER


def test_checks_that_overlap_count_once() -> None:
    by_hand = reading("2026-07-06T08:00", "2026-07-06T08:30", 200, 6)
    assert chosen("no log", [*INSIDE, by_hand]).sample.denominator == 20
