# SPDX-License-Identifier: MIT
"""How a report tells a figure's change against the period before, and whether that is good."""

from __future__ import annotations

from collections.abc import Callable

from processing_time.reports.document import Judgement
from processing_time.reports.language import Language
from processing_time.reports.weekly_trend import compare
from processing_time.settings import Settings
from processing_time.store_reports import Rolled, Trend


def change(
    row: Rolled | None,
    before: Rolled | None,
    worded: Callable[[float], str],
    better: str,
    settings: Settings,
    language: Language,
) -> tuple[str, Judgement]:
    """The change and whether it is good; neutral where chance would do, empty without both values.

    :param worded: gives a difference as text.
    :param better: which value is better, ``higher`` or ``lower``.
    """
    if row is None or row.value is None or before is None or before.value is None:
        return "", Judgement.NEUTRAL
    text = worded(row.value - before.value)
    trend = compare(row, before, settings)
    if trend is Trend.FLAT and row.value != before.value:
        return language.say("{change}, within chance", change=text), Judgement.NEUTRAL
    return text, judged(trend, better)


def judged(trend: Trend, better: str) -> Judgement:
    """Whether it is good where a figure goes."""
    if trend not in (Trend.UP, Trend.DOWN):
        return Judgement.NEUTRAL
    return Judgement.GOOD if (trend is Trend.UP) == (better == "higher") else Judgement.BAD
