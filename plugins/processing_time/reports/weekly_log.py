# SPDX-License-Identifier: MIT
"""What the log tells of a week: read over exactly that week while it is all there, else put together from the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processing_time.model import ALL_COMPANIES, Loss, Sample
from processing_time.reports.monthly_samples import Reading, roll_up
from processing_time.reports.weekly_period import Week
from processing_time.settings import Settings
from processing_time.store_reports import Rolled


@dataclass(frozen=True, slots=True)
class Measured:
    """A sample over a whole week, made of some measurements."""

    sample: Sample
    samples: int = 1


def choose(
    week: Week, read: Mapping[str, Sample] | str, readings: Sequence[Reading], settings: Settings
) -> list[Measured]:
    """The week of every enabled metric and rule of the log.

    The log has lost records (to its rotation, say) when it holds fewer than checks inside the week counted.

    :param read: by metric or rule, what the log holds of the week; or why it cannot be read.
    :param readings: of the checks that end in the week.
    """
    inside = _by_key(week, [r for r in readings if r.window.start >= week.window.start], settings)
    whole = _by_key(week, readings, settings)
    return [
        _choose(key, week, read if isinstance(read, str) else read[key], inside.get(key), whole.get(key))
        for key in settings.enabled("log")
    ]


def before(week: Week, readings: Sequence[Reading], settings: Settings) -> list[Rolled]:
    """The same of a week of which nothing else is known any more, from its checks alone."""
    return list(_by_key(week, readings, settings).values())


def _choose(
    key: str, week: Week, read: Sample | str, inside: Rolled | None, whole: Rolled | None
) -> Measured:
    if isinstance(read, Sample) and not read.loss and _size(read) >= _size(inside):
        return Measured(read)
    if whole is not None and whole.samples:
        return Measured(
            Sample(
                key, week.window, value=whole.value, numerator=whole.numerator, denominator=whole.denominator
            ),
            whole.samples,
        )
    if isinstance(read, Sample):
        return Measured(read, 0 if read.loss else 1)
    return Measured(Sample(key, week.window).lost(Loss.SOURCE, read), 0)


def _size(counted: Sample | Rolled | None) -> float:
    """How many records it is made of."""
    if counted is None:
        return 0
    return (counted.denominator if counted.denominator is not None else counted.numerator) or 0


def _by_key(week: Week, readings: Sequence[Reading], settings: Settings) -> dict[str, Rolled]:
    wanted = set(settings.enabled("log"))
    rolled = roll_up(week.first, [r for r in readings if r.metric in wanted], settings)
    return {row.metric: row for row in rolled.rows if row.company_id == ALL_COMPANIES}
