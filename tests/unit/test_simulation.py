# SPDX-License-Identifier: MIT
"""Years of hourly checks over a made-up service: how often it alerts and pages, healthy and broken.

Appointments come evenly between 07:00 and 21:00 and fail independently: 0.5 % in a healthy service, 12 % in a broken one.
The real judgement and escalation run over them. ``PYTHONPATH=plugins python tests/unit/test_simulation.py`` prints the
table that the documentation shows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from processing_time.escalation import decide
from processing_time.evaluation import judge
from processing_time.ledger import Ledger
from processing_time.model import Sample, Verdict, Window
from processing_time.settings import Settings, load

TABLE = Path(__file__).resolve().parents[2] / "docs" / "simulation-table.md"
RATE = "phase_creation_success_rate"
HEALTHY, BROKEN = 0.005, 0.12
VOLUMES = {20: 4, 50: 4, 100: 4, 500: 1, 1300: 1}
"""Appointments a day, and how many years are simulated: the fewer appointments, the more depends on chance."""
OPENS, CLOSES = 7, 21
FIRST_CHECK, LAST_CHECK = 8, 20


@dataclass(frozen=True)
class Year:
    """Days in a year on which something happened, on average over the simulated years."""

    passed: float
    """The guide's rule was passed at some check: more than ten appointments, below 95 %."""
    paged: float
    """A check was bad while its alert stood at level 2 or above."""


@cache
def simulate(volume: int, failing: float) -> Year:
    years = VOLUMES[volume]
    outcomes = [day for seed in range(years) for day in _days(volume, failing, seed)]
    return Year(sum(passed for passed, _ in outcomes) / years, sum(paged for _, paged in outcomes) / years)


def _days(volume: int, failing: float, seed: int) -> Iterator[tuple[bool, bool]]:
    """A year in a row: an alert that is still open in the evening is open in the morning."""
    rng, settings, ledger = random.Random(seed), load(), Ledger()
    for day in range(365):
        midnight = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
        passed = paged = False
        for hour, total, failed in _checks(rng, volume, failing):
            verdict = _check(midnight, midnight + timedelta(hours=hour), total, failed, ledger, settings)
            passed |= total > 10 and 100 * (total - failed) / total < 95
            paged |= verdict.state.bad and any(alert.level >= 2 for alert in ledger.open_alerts.values())
        yield passed, paged


def _checks(rng: random.Random, volume: int, failing: float) -> Iterator[tuple[int, int, int]]:
    """The hour of each check with the appointments and failures of the day so far."""
    came, failed = [0] * CLOSES, [0] * CLOSES
    for _ in range(volume):
        hour = rng.randrange(OPENS, CLOSES)
        came[hour] += 1
        failed[hour] += rng.random() < failing
    for hour in range(FIRST_CHECK, LAST_CHECK + 1):
        yield hour, sum(came[:hour]), sum(failed[:hour])


def _check(
    midnight: datetime, as_of: datetime, total: int, failed: int, ledger: Ledger, settings: Settings
) -> Verdict:
    value = 100 * (total - failed) / total if total else None
    verdict = judge(Sample(RATE, Window(midnight, as_of), 0, value, total - failed, total), settings)
    ledger.keep(as_of, [verdict], decide([verdict], ledger.standing, (), settings, as_of, {}), settings)
    return verdict


def table() -> str:
    """Days a year in Markdown."""
    head = [
        "appointments a day",
        "healthy: rule passed",
        "healthy: paged",
        "broken: rule passed",
        "broken: paged",
    ]
    rows = [head, ["---:"] * len(head)]
    for volume in VOLUMES:
        healthy, broken = simulate(volume, HEALTHY), simulate(volume, BROKEN)
        days = (healthy.passed, healthy.paged, broken.passed, broken.paged)
        rows.append([f"{volume:,}", *(f"{number:.1f}".removesuffix(".0") for number in days)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_a_healthy_service_with_fifty_appointments_a_day_pages_at_most_twice_a_year() -> None:
    assert simulate(50, HEALTHY).paged <= 2


@pytest.mark.parametrize("volume", [v for v in VOLUMES if v >= 100])
def test_a_broken_service_pages_on_99_percent_of_its_days(volume: int) -> None:
    assert simulate(volume, BROKEN).paged >= 0.99 * 365


@pytest.mark.parametrize("volume", VOLUMES)
def test_no_volume_pages_a_healthy_service_more_than_three_times_a_year(volume: int) -> None:
    assert simulate(volume, HEALTHY).paged <= 3


def test_the_plain_rule_would_have_paged_a_healthy_service_for_weeks() -> None:
    assert simulate(50, HEALTHY).passed >= 20


def test_the_documented_table_is_what_the_simulation_gives() -> None:
    assert table() in TABLE.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(table(), end="")
