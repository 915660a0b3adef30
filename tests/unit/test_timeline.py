# SPDX-License-Identifier: MIT
"""Windows on ordinary days, on both days of a clock change, at midnight and at the year's end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from processing_time.timeline import (
    AsOfError,
    Timeline,
    is_last_of_day,
    midnight,
    next_tick,
    parse_as_of,
    previous_tick,
)

BERLIN = ZoneInfo("Europe/Berlin")
CRON = "0 8-20 * * *"
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("as_of", "today", "yesterday", "week", "hours"),
    [
        ("2026-06-10T14:00+02:00", "2026-06-09T22:00Z", "2026-06-08T22:00Z", "2026-06-02T22:00Z", 14),
        ("2026-03-29T12:00+02:00", "2026-03-28T23:00Z", "2026-03-27T23:00Z", "2026-03-21T23:00Z", 11),
        ("2026-03-30T08:00+02:00", "2026-03-29T22:00Z", "2026-03-28T23:00Z", "2026-03-22T23:00Z", 8),
        ("2026-10-25T12:00+01:00", "2026-10-24T22:00Z", "2026-10-23T22:00Z", "2026-10-17T22:00Z", 13),
        ("2026-10-26T08:00+01:00", "2026-10-25T23:00Z", "2026-10-24T22:00Z", "2026-10-18T22:00Z", 8),
        ("2026-01-01T08:00+01:00", "2025-12-31T23:00Z", "2025-12-30T23:00Z", "2025-12-24T23:00Z", 8),
        ("2026-03-01T00:00+01:00", "2026-02-28T23:00Z", "2026-02-27T23:00Z", "2026-02-21T23:00Z", 0),
    ],
    ids=["ordinary", "spring day", "after spring", "autumn day", "after autumn", "new year", "midnight"],
)
def test_windows(as_of: str, today: str, yesterday: str, week: str, hours: float) -> None:
    instant = at(as_of)
    windows = Timeline(instant, BERLIN, ZoneInfo("UTC"), since=instant - timedelta(hours=1)).windows
    assert windows["today"].start == at(today)
    assert windows["yesterday_and_today"].start == at(yesterday)
    assert windows["7_days"].start == at(week)
    assert {w.end for w in windows.values()} == {instant}
    assert windows["today"].length == timedelta(hours=hours)
    assert windows["since_last_check"].length == timedelta(hours=1)
    assert windows["instant"].length == timedelta()


@pytest.mark.parametrize(
    ("now", "previous", "following", "last"),
    [
        ("2026-06-10T08:00+02:00", "2026-06-09T20:00+02:00", "2026-06-10T09:00+02:00", False),
        ("2026-06-10T10:17:31+02:00", "2026-06-10T10:00+02:00", "2026-06-10T11:00+02:00", False),
        ("2026-06-10T20:00+02:00", "2026-06-10T19:00+02:00", "2026-06-11T08:00+02:00", True),
        ("2026-06-10T20:00:01+02:00", "2026-06-10T20:00+02:00", "2026-06-11T08:00+02:00", False),
        ("2026-03-29T08:00+02:00", "2026-03-28T20:00+01:00", "2026-03-29T09:00+02:00", False),
        ("2026-10-25T08:00+01:00", "2026-10-24T20:00+02:00", "2026-10-25T09:00+01:00", False),
        ("2026-12-31T20:00+01:00", "2026-12-31T19:00+01:00", "2027-01-01T08:00+01:00", True),
    ],
)
def test_ticks(now: str, previous: str, following: str, last: bool) -> None:
    assert previous_tick(CRON, BERLIN, at(now)) == at(previous)
    assert next_tick(CRON, BERLIN, at(now)) == at(following)
    assert is_last_of_day(CRON, BERLIN, at(now)) is last


def test_every_day_of_a_year_has_thirteen_ticks() -> None:
    tick, days = at("2025-12-31T20:00+01:00"), {}
    while (tick := next_tick(CRON, BERLIN, tick)) < at("2027-01-01T00:00+01:00"):
        local = tick.astimezone(BERLIN)
        days.setdefault(local.date(), []).append(local.hour)
    assert len(days) == 365
    assert all(hours == list(range(8, 21)) for hours in days.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-29T12:00:00+02:00", "2026-03-29T10:00Z"),
        ("2026-03-29T10:00:00Z", "2026-03-29T10:00Z"),
        ("2026-06-10T14:00", "2026-06-10T12:00Z"),
        ("2026-06-10 14:00:30.75", "2026-06-10T12:00:30Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30Z"),
        ("2026-06-10", "2026-06-09T22:00Z"),
    ],
    ids=["offset", "Z", "Berlin time", "fraction", "double hour: the first", "a date: its midnight"],
)
def test_as_of_as_people_write_it(text: str, expected: str) -> None:
    assert parse_as_of(text, BERLIN, LATER) == at(expected)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("yesterday", "as_of = 'yesterday' is not a time: write it like 2026-03-29T12:00:00+02:00 or"),
        ("2030-01-01T00:00:01Z", "as_of = '2030-01-01T00:00:01Z' lies in the future"),
        ("2026-03-29T02:30", "as_of = '2026-03-29T02:30' does not exist in Europe/Berlin: the clocks skip"),
        ("0026-03-29T12:00", "as_of = '0026-03-29T12:00' lies before the year 2000"),
        ("0001-01-01", "as_of = '0001-01-01' lies before the year 2000"),
        ("9999-12-31T23:59-12:00", "as_of = '9999-12-31T23:59-12:00' lies in the future"),
        ("9999-12-31T23:59", "as_of = '9999-12-31T23:59' lies in the future"),
        ("; DROP TABLE checks", "as_of = '; DROP TABLE checks' is not a time"),
    ],
)
def test_as_of_that_cannot_be_used(text: str, sentence: str) -> None:
    with pytest.raises(AsOfError) as fault:
        parse_as_of(text, BERLIN, LATER)
    assert str(fault.value).startswith(sentence)


def test_the_end_of_the_calendar_in_a_zone_behind_utc_lies_in_the_future() -> None:
    with pytest.raises(AsOfError, match="lies in the future"):
        parse_as_of("9999-12-31T23:59", ZoneInfo("America/New_York"), LATER)


def test_application_time_and_back() -> None:
    instant = at("2026-07-01T10:00Z")
    timeline = Timeline(instant, BERLIN, BERLIN, instant)
    assert timeline.to_application(instant) == datetime(2026, 7, 1, 12)
    assert timeline.from_application(datetime(2026, 7, 1, 12)) == instant


def test_midnight_steps_by_calendar_days() -> None:
    assert midnight(at("2026-03-31T08:00+02:00"), BERLIN, 2) == at("2026-03-28T23:00Z")
