# SPDX-License-Identifier: MIT
"""Error budgets over simulated days: how often a healthy service alerts, and how soon a leak of 2 % is found.

Appointments come as in the other simulation, evenly between 07:00 and 21:00 with independent failures, and the real
judgement and escalation run over them, hourly. ``PYTHONPATH=plugins:. python tests/unit/test_burn_rate_simulation.py``
prints the table that the documentation shows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from pathlib import Path
from statistics import quantiles

import pytest

from processing_time.burn_rate import Count, budget_of, measured
from processing_time.escalation import decide
from processing_time.evaluation import judge
from processing_time.ledger import Ledger
from processing_time.model import Sample, Window
from processing_time.settings import load

TABLE = Path(__file__).resolve().parents[2] / "docs" / "simulation-table.md"
KEY = "phase_creation_burn_rate"
SETTINGS = load()
METRIC = SETTINGS.metrics[KEY]
LENGTHS = budget_of(METRIC).lengths
HEALTHY, LEAKING = 0.005, 0.02
VOLUMES = {20: 4, 50: 4, 100: 4, 500: 1, 1300: 1}
"""Appointments a day, and how many healthy years are simulated: the fewer appointments, the more depends on chance."""
LEAKS, PATIENCE = 20, 90
"""So many leaks are simulated, each for so many days at most."""
OPENS, CLOSES = 7, 21
CHECKS = range(8, 21)
START = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = 3
"""Days without a check, so that the longest window is full at the first one."""


def opened(volume: int, failing: float, days: int, seed: int) -> Iterator[int]:
    """The hours after the start at which an alert opens; the days before are healthy."""
    rng, ledger = random.Random(seed), Ledger()
    came, failed = [0] * 24 * (BEFORE + days), [0] * 24 * (BEFORE + days)
    for day in range(BEFORE + days):
        share = failing if day >= BEFORE else HEALTHY
        for _ in range(volume):
            hour = 24 * day + rng.randrange(OPENS, CLOSES)
            came[hour] += 1
            failed[hour] += rng.random() < share
    total, bad = ([0, *accumulate(hours)] for hours in (came, failed))
    for hour in (24 * day + hour for day in range(BEFORE, BEFORE + days) for hour in CHECKS):
        counts = {}
        for length in LENGTHS:
            start = hour - length // timedelta(hours=1)
            counts[length] = Count(bad[hour] - bad[start], total[hour] - total[start])
        if _check(START + timedelta(hours=hour), counts, ledger):
            yield hour - 24 * BEFORE


def _check(as_of: datetime, counts: dict[timedelta, Count], ledger: Ledger) -> bool:
    """Whether this check opens an alert."""
    sample = measured(Sample(KEY, Window(as_of - LENGTHS[0], as_of)), counts, METRIC)
    verdicts = [judge(sample, SETTINGS)]
    before = len(ledger.alerts)
    decisions = decide(verdicts, ledger.standing, (), SETTINGS, as_of, {})
    ledger.keep(as_of, verdicts, decisions, SETTINGS)
    return len(ledger.alerts) > before


@cache
def false_alerts(volume: int) -> float:
    """Alerts a year of a healthy service, on average over the simulated years."""
    years = VOLUMES[volume]
    return sum(1 for seed in range(years) for _ in opened(volume, HEALTHY, 365, seed)) / years


@cache
def days_to_find(volume: int) -> tuple[float, float]:
    """Days from the start of a leak to its alert, for every second leak and for nine of ten."""
    found = [next(opened(volume, LEAKING, PATIENCE, seed), 24 * PATIENCE) / 24 for seed in range(LEAKS)]
    tenths = quantiles(found, n=10)
    return tenths[4], tenths[8]


def table() -> str:
    """The figures in Markdown."""
    head = ["appointments a day", "healthy: alerts a year", "leak: half are found in", "leak: nine of ten in"]
    rows = [head, ["---:"] * len(head)]
    for volume in VOLUMES:
        half, most = days_to_find(volume)
        rows.append([f"{volume:,}", f"{false_alerts(volume):.1f}", f"{half:.1f} days", f"{most:.1f} days"])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@pytest.mark.parametrize("volume", VOLUMES)
def test_a_healthy_service_alerts_at_most_twice_a_year(volume: int) -> None:
    assert false_alerts(volume) <= 2


@pytest.mark.parametrize(("volume", "days"), [(50, 21), (100, 12), (500, 4), (1300, 3)])
def test_nine_of_ten_leaks_are_found_within_days(volume: int, days: int) -> None:
    assert days_to_find(volume)[1] <= days


def test_the_documented_table_is_what_the_simulation_gives() -> None:
    assert table() in TABLE.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(table(), end="")
