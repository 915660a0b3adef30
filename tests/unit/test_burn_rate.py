# SPDX-License-Identifier: MIT
"""Error budgets at, just under and just over each bound: what burns, what is quiet, and what nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time.burn_rate import Count, measured
from processing_time.certainty import wilson_lower_bound
from processing_time.evaluation import Memory, evaluate, judge, threshold_text
from processing_time.model import Collected, Sample, Severity, State, Verdict, Window
from processing_time.rule_tests import overlaid
from processing_time.settings import Budget, Settings, load
from processing_time.summary import value_text
from processing_time.timeline import Timeline

KEY = "phase_creation_burn_rate"
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
BLANK = Sample(KEY, Window(AS_OF - timedelta(days=3), AS_OF))
NONE = (0, 0)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load()


def sample(settings: Settings, *counts: tuple[int, int]) -> Sample:
    """What failed of how many in 3 d, 24 h, 6 h and 2 h; the last holds for the rest."""
    metric = settings.metrics[KEY]
    assert metric.budget is not None
    lengths = metric.budget.lengths
    counted = [*counts, *[counts[-1]] * (len(lengths) - len(counts))]
    return measured(BLANK, {n: Count(*c) for n, c in zip(lengths, counted, strict=True)}, metric)


def verdict(settings: Settings, *counts: tuple[int, int]) -> Verdict:
    return judge(sample(settings, *counts), settings)


@pytest.mark.parametrize(
    ("counts", "state", "fires"),
    [
        # 3 d and 6 h above 1×; 24 h with nothing failing keeps the other pair out
        (
            [(15, 1000), (0, 400), (2, 100), NONE],
            "insufficient_data",
            None,
        ),  # more than 1 %, not beyond doubt
        (
            [(18, 1000), (0, 400), (1, 100), NONE],
            "insufficient_data",
            None,
        ),  # 6 h at 1×, and too few to be quiet
        ([(18, 1000), (0, 400), (2, 100), NONE], "alert", "3 d and 6 h"),
        ([(10, 1000), (0, 400), (5, 100), NONE], "ok", None),  # 3 d at 1×
        # 24 h and 2 h above 3×; 6 h is quiet beyond doubt, so the other pair stays out
        ([(60, 5000), (60, 1000), (0, 900), (4, 100)], "alert", "24 h and 2 h"),
        (
            [(60, 5000), (60, 1000), (0, 900), (3, 100)],
            "insufficient_data",
            None,
        ),  # 2 h at 3×, and may be chance
        ([(60, 5000), (60, 1000), (0, 900), (0, 100)], "ok", None),
        ([(60, 9000), (30, 1000), (0, 900), (9, 100)], "ok", None),  # 24 h at 3×
        ([(60, 1500), (15, 1200), (15, 1000), NONE], "alert", "3 d and 6 h"),  # slower than 3 d, yet above 1×
        # how quiet a short window must be depends on how fast the long one burns
        ([(30, 1500), (0, 500), (0, 188), NONE], "insufficient_data", None),
        ([(30, 1500), (0, 500), (0, 189), NONE], "ok", None),
        (
            [(60, 4000), (60, 1000), (0, 150), (0, 100)],
            "insufficient_data",
            None,
        ),  # 2 h is quiet, 6 h is not yet
        # few
        ([(0, 20)], "ok", None),
        ([(0, 19)], "insufficient_data", None),
        ([(19, 19)], "insufficient_data", None),
        ([(2, 20)], "alert", "3 d and 6 h"),
        ([(1, 20)], "insufficient_data", None),
        (
            [(5, 600), (5, 19), (5, 19), (5, 19)],
            "insufficient_data",
            None,
        ),  # the long window of a pair has its own volume
        ([NONE], "insufficient_data", None),
        # everything
        ([(1000, 1000)], "alert", "24 h and 2 h"),
        ([(0, 1000)], "ok", None),
    ],
)
def test_states(counts: list[tuple[int, int]], state: str, fires: str | None, settings: Settings) -> None:
    judged = verdict(settings, *counts)
    assert judged.state is State(state), judged.reason
    assert judged.severity is (Severity.MEDIUM if state == "alert" else None)
    assert judged.sample.detail["fires"] == fires
    assert judged.sample.detail["threshold"] == judged.threshold


def test_certainty_is_that_of_the_wilson_interval(settings: Settings) -> None:
    """The first count that fires is the first whose lower bound is above the budget."""
    for total in (60, 150, 300, 1500):
        first = next(
            n for n in range(total) if verdict(settings, (n, total), (0, total), (n, total)).state.bad
        )
        assert wilson_lower_bound(first, total) > 0.01 >= wilson_lower_bound(first - 1, total)


@pytest.mark.parametrize(
    ("counts", "value", "part", "whole"),
    [
        ([(30, 1500), (15, 500), (10, 250), (3, 75)], 2, 30, 1500),  # 3 d burns 2×; 24 h at 3× does not
        (
            [(90, 1500), (30, 500), (25, 250), (9, 75)],
            6,
            30,
            500,
        ),  # both fire: the first of the settings is told
        ([(5, 1000), (0, 300)], 0.5, 5, 1000),  # nearest to its factor
        ([(5, 1000), (5, 100), (0, 80)], 5, 5, 100),
        ([(5, 1000), (3, 400), (0, 80)], 0.5, 5, 1000),  # 0.75× is farther from 3× than 0.5× from 1×
        ([(0, 1000), (0, 300)], 0, 0, 1000),
        ([NONE], None, 0, 0),
    ],
)
def test_value_and_counts_are_those_of_the_window_that_decides(
    counts: list[tuple[int, int]], value: float | None, part: int, whole: int, settings: Settings
) -> None:
    found = verdict(settings, *counts).sample
    assert (found.value, found.numerator, found.denominator) == (value, part, whole)
    assert (found.window, found.metric, found.company_id) == (BLANK.window, KEY, 0)


def test_reasons_in_words(settings: Settings) -> None:
    assert verdict(settings, (60, 2900), (60, 1000), (60, 600), (5, 125)).reason == (
        "burning 6.0× in 24 h and 4.0× in 2 h, 60 of 1000 appointments without phases in 24 h;"
        " at this pace the month's budget is gone in 5 days"
    )
    assert verdict(settings, (900, 1000)).reason.endswith("the month's budget is gone in 8 hours")
    assert verdict(settings, (30, 1500), (0, 500), (0, 60)).reason == (
        "burning 2.0× in 3 d and 0.0× in 6 h, 30 of 1500 appointments without phases in 3 d;"
        " too few in 6 h to tell whether it goes on"
    )
    assert verdict(settings, (2, 90)).reason.endswith("; too few to be sure")
    assert verdict(settings, (0, 3)).reason == "3 appointments, fewer than 20"
    assert verdict(settings, (1, 200), (0, 60)).reason == (
        "burning 0.5× in 3 d and 0.0× in 6 h, 1 of 200 appointments without phases in 3 d"
    )


def test_threshold_in_words(settings: Settings) -> None:
    expected = "burn > 3× in 24 h and 2 h, or > 1× in 3 d and 6 h"
    assert threshold_text(settings.metrics[KEY]) == expected


def changed(**budget: Any) -> Settings:
    return overlaid({"metrics": {KEY: {"budget": budget}}})


def test_a_stored_sample_is_judged_with_the_settings_of_today(settings: Settings) -> None:
    stored = sample(settings, (30, 1500), (10, 500), (5, 250), (2, 80))
    assert judge(stored, settings).state is State.ALERT
    strict = changed(objective=97)
    assert judge(stored, strict).state is State.OK
    assert judge(stored, strict).sample.value == pytest.approx(2 / 3)
    other = changed(windows=[{"long": "12h", "short": "1h", "factor": 3}])
    assert judge(stored, other).state is State.INSUFFICIENT_DATA
    assert judge(stored, other).reason == "nothing was counted over 12 h"


def test_severity_is_the_setting_s(settings: Settings) -> None:
    critical = overlaid({"metrics": {KEY: {"severity": "critical"}}})
    judged = judge(sample(settings, (50, 100)), critical)
    assert (judged.state, judged.severity) == (State.CRITICAL, Severity.CRITICAL)


@pytest.mark.parametrize(("hours", "cap"), [(71, 1), (73, 3)])
def test_flags_that_changed_in_the_longest_window_keep_it_at_level_1(
    hours: int, cap: int, settings: Settings
) -> None:
    on, off = ({"configured": True, "enabled": enabled} for enabled in (True, False))
    memory = Memory(flags=[(AS_OF - timedelta(days=5), off), (AS_OF - timedelta(hours=hours), on)])
    timeline = Timeline(AS_OF, ZoneInfo("Europe/Berlin"), ZoneInfo("UTC"), AS_OF - timedelta(hours=1))
    collected = {"mysql": Collected((sample(settings, (50, 100)),))}
    verdicts = evaluate(collected, on, memory, settings, timeline, AS_OF)
    judged = next(v for v in verdicts if v.metric == KEY)
    assert (judged.state, judged.level_cap) == (State.ALERT, cap)
    assert ("feature flags changed" in judged.reason) == (cap == 1)


def test_people_read_times(settings: Settings) -> None:
    assert value_text(verdict(settings, (31, 1500)), settings) == "2.1×"
    assert value_text(verdict(settings, (0, 0)), settings) == "–"


@pytest.mark.parametrize(("objective", "allowed"), [(99, 1), (99.9, 0.1), (99.99, 0.01), (95.5, 4.5)])
def test_what_may_fail_is_exact(objective: float, allowed: float) -> None:
    budget = Budget.model_validate(
        {"objective": objective, "windows": [{"long": "3d", "short": "6h", "factor": 1}]}
    )
    assert budget.allowed == allowed
