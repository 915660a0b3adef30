# SPDX-License-Identifier: MIT
"""A month rolled up from samples: weighted, no line twice; and which month and which windows those are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing_time.model import Window
from processing_time.reports.monthly_period import month_before, month_ending, window
from processing_time.reports.monthly_samples import Reading, apart, roll_up, rolled_keys
from processing_time.settings import Settings, load
from processing_time.store_reports import Rolled

BERLIN = ZoneInfo("Europe/Berlin")
JULY = date(2026, 7, 1)
HIT_RATE, TIME, MISSES = "availability_cache_hit_rate", "phase_creation_time", "cache_miss_spike"
ENTRIES = "cached_availability_entries"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load()


def at(hour: float) -> datetime:
    return datetime(2026, 7, 1, tzinfo=UTC) + timedelta(hours=hour)


def between(start: float, end: float) -> Window:
    return Window(at(start), at(end))


def reading(start: float, end: float, numerator: float, denominator: float | None, **more: Any) -> Reading:
    given = {"metric": HIT_RATE, "company_id": 0, "value": None, **more}
    return Reading(window=between(start, end), numerator=numerator, denominator=denominator, **given)


def only(readings: list[Reading], settings: Settings) -> Rolled:
    (row,) = roll_up(JULY, readings, settings).rows
    return row


class TestPeriods:
    @pytest.mark.parametrize(
        ("as_of", "month"),
        [
            ("2026-08-01T07:00", date(2026, 7, 1)),
            ("2026-08-31T23:59", date(2026, 7, 1)),
            ("2026-01-01T00:00", date(2025, 12, 1)),
            ("2026-04-01T00:30", date(2026, 3, 1)),
        ],
    )
    def test_the_last_month_that_is_over(self, as_of: str, month: date) -> None:
        instant = datetime.fromisoformat(as_of).replace(tzinfo=BERLIN)
        assert month_before(instant.astimezone(UTC), BERLIN) == month

    @pytest.mark.parametrize(
        ("month", "hours"),
        [
            ("2026-07-01", 744),
            ("2026-03-01", 743),
            ("2026-10-01", 745),
            ("2024-02-01", 696),
            ("2025-12-01", 744),
        ],
    )
    def test_a_month_is_as_long_as_it_is(self, month: str, hours: int) -> None:
        assert window(date.fromisoformat(month), BERLIN).length == timedelta(hours=hours)

    def test_months_follow_each_other_without_a_gap(self) -> None:
        months = [date(2025 + n // 12, n % 12 + 1, 1) for n in range(24)]
        for one, next_ in pairwise(window(month, BERLIN) for month in months):
            assert one.end == next_.start
            assert month_ending(one.end, BERLIN) == one.start.astimezone(BERLIN).date()
            assert month_ending(one.end + timedelta(seconds=1), BERLIN) == one.end.astimezone(BERLIN).date()


class TestRollup:
    def test_rates_are_weighted_by_their_denominators(self, settings: Settings) -> None:
        row = only([reading(0, 1, 1, 1), reading(1, 2, 50, 99), reading(2, 3, 0, 0)], settings)
        assert (row.value, row.numerator, row.denominator, row.samples) == (51, 51, 100, 3)

    def test_means_too(self, settings: Settings) -> None:
        row = only([reading(0, 1, 40, 1, metric=TIME), reading(1, 2, 60, 9, metric=TIME)], settings)
        assert (row.value, row.numerator, row.denominator) == (10, 100, 10)

    def test_without_anything_to_divide_by_there_is_no_value(self, settings: Settings) -> None:
        assert only([reading(0, 1, 0, 0)], settings).value is None

    def test_a_rule_has_its_largest_burst_and_its_total(self, settings: Settings) -> None:
        readings = [
            reading(0, 1, 30, None, metric=MISSES, value=12),
            reading(1, 2, 40, None, metric=MISSES, value=7),
        ]
        row = only(readings, settings)
        assert (row.value, row.numerator, row.denominator, row.samples) == (12, 70, None, 2)

    def test_a_burst_that_only_a_reading_beside_the_others_saw_is_the_largest(
        self, settings: Settings
    ) -> None:
        readings = [
            reading(0, 1, 30, None, metric=MISSES, value=12),
            reading(0.2, 0.9, 25, None, metric=MISSES, value=15),
        ]
        row = only(readings, settings)
        assert (row.value, row.numerator, row.samples) == (15, 30, 1)

    def test_what_is_read_at_an_instant_is_averaged_over_the_checks(self, settings: Settings) -> None:
        readings = [reading(h, h, n, None, metric=ENTRIES, value=n) for h, n in ((1, 10), (2, 0), (3, 2))]
        row = only(readings, settings)
        assert (row.value, row.numerator, row.denominator, row.samples) == (4, 12, 3, 3)

    def test_a_line_that_two_checks_read_counts_once(self, settings: Settings) -> None:
        """A check of 09:30 that was made after those of 09:00 and 10:00."""
        readings = [reading(8, 9, 5, 10), reading(9, 10, 6, 10), reading(9, 9.5, 6, 8)]
        row = only(readings, settings)
        assert (row.numerator, row.denominator, row.samples) == (11, 20, 2)

    def test_a_company_counts_in_the_windows_that_count_for_all(self, settings: Settings) -> None:
        readings = [
            reading(8, 10, 6, 10),
            reading(8, 9, 5, 8),
            reading(8, 10, 2, 3, company_id=4),
            reading(8, 9, 2, 2, company_id=4),
        ]
        rows = {row.company_id: row for row in roll_up(JULY, readings, settings).rows}
        assert (rows[0].denominator, rows[4].denominator) == (10, 3)

    def test_what_was_covered_is_said(self, settings: Settings) -> None:
        rolled = roll_up(JULY, [reading(0, 5, 1, 1), reading(7, 9, 1, 1)], settings)
        assert rolled.covered == {HIT_RATE: timedelta(hours=7)}

    def test_nothing_gives_no_row(self, settings: Settings) -> None:
        assert roll_up(JULY, [], settings).rows == ()

    def test_what_the_database_keeps_is_not_rolled_up_from_samples(self, settings: Settings) -> None:
        keys = rolled_keys(settings)
        assert {HIT_RATE, TIME, MISSES, ENTRIES} <= set(keys)
        assert not [
            key for key in keys if key in settings.metrics and settings.metrics[key].source == "mysql"
        ]


SPANS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda s: (s[0], s[0] + s[1])), max_size=7
)


@given(SPANS)
def test_no_choice_of_windows_that_do_not_overlap_covers_more(spans: list[tuple[int, int]]) -> None:
    windows = [between(*span) for span in spans]
    chosen = apart(windows)
    assert set(chosen) <= set(windows)
    assert not any(_overlap(a, b) for a, b in combinations(chosen, 2))
    different = list(set(windows))
    best = max(
        (
            sum((w.length for w in some), timedelta())
            for size in range(len(different) + 1)
            for some in combinations(different, size)
            if not any(_overlap(a, b) for a, b in combinations(some, 2))
        ),
        default=timedelta(),
    )
    assert sum((w.length for w in chosen), timedelta()) == best


def _overlap(one: Window, other: Window) -> bool:
    return one.start < other.end and other.start < one.end


def test_every_instant_counts_once() -> None:
    assert apart([between(h, h) for h in (3, 1, 2, 1)]) == [between(h, h) for h in (1, 2, 3)]
