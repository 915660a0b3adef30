# SPDX-License-Identifier: MIT
"""Measuring by turns: what else the machine does meanwhile hits every side alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from benchmarks.figures import Figure, Target

Runs = dict[str, tuple[float, ...]]
"""Seconds of each run, by what was measured."""


def by_turns(
    times: int, sides: Mapping[str, Callable[[], Any]], before: Callable[[], Any] = lambda: None
) -> Runs:
    """Time each side once, and again, `times` in all; `before` runs before each, outside of the clock."""
    runs: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(times):
        for side, measure in sides.items():
            before()
            start = time.perf_counter()
            measure()
            runs[side].append(time.perf_counter() - start)
    return {side: tuple(seconds) for side, seconds in runs.items()}


def ratio(
    part: str,
    key: str,
    title: str,
    seconds: tuple[float, ...],
    against: tuple[float, ...],
    target: Target | None = None,
    note: str = "",
) -> Figure:
    """One median over the other."""
    return Figure(part, key, title, median(seconds) / median(against), "×", target=target, note=note)


def middle(part: str, key: str, title: str, unit: str, runs: tuple[float, ...], note: str = "") -> Figure:
    """The median of measurements that have their unit already."""
    return Figure(part, key, title, median(runs), unit, runs=runs, note=note)
