# SPDX-License-Identifier: MIT
"""What a benchmark gives: figures, some of them ratios with a target. Only ratios within one run count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal


class Size(StrEnum):
    """``small`` shows in a few minutes that everything runs; ``full`` is the scale that the targets speak of."""

    SMALL = "small"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a figure; strict neither way."""

    bound: float
    sense: Literal["at most", "at least"]

    def met(self, value: float) -> bool:
        """Whether a figure keeps to the bound."""
        return value <= self.bound if self.sense == "at most" else value >= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    :param part: ``database``, ``log``, ``cache``, ``reports``, ``airflow``, ``targets`` or ``page``.
    :param key: unique within the part; snake_case.
    :param title: for people, what was measured and on what.
    :param value: the median of the runs, or a ratio of two such medians.
    :param unit: ``s``, ``ms``, ``×``, ``rows``, ``bytes``, ``MiB``, ``%``.
    :param runs: every single measurement, in the same unit; empty for a ratio.
    :param target: holds at full size only.
    :param at_least: the measurement was cut off by its time limit: the true value is larger.
    :param note: why a target is missed, or what was compared.
    """

    part: str
    key: str
    title: str
    value: float
    unit: str
    runs: tuple[float, ...] = field(default=())
    target: Target | None = None
    at_least: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part is given.

    :param work: a directory for generated data, kept between runs, so that the second run is quick.
    :param peers: measure the alternatives as well, where they are installed.
    :param limit: seconds after which a slow comparison is cut off and reported as "at least".
    :param say: one line of progress for the person who waits.
    """

    size: Size
    work: Path
    peers: bool
    limit: float
    say: Callable[[str], None]


Part = Callable[[Bench], list[Figure]]
"""``measure(bench)`` of ``benchmarks.database``, ``.log``, ``.cache``, ``.reports``, ``.airflow``, ``.targets`` and ``.page``."""
