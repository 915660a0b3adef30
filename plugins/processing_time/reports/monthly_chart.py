# SPDX-License-Identifier: MIT
"""The chart of the monthly report: the weightiest metrics over up to twelve months, each against its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from processing_time.reports import trend
from processing_time.reports.charts import Bound, Panel, Series, draw
from processing_time.reports.document import Picture
from processing_time.reports.monthly_words import FIRST, Words

LEAST = 6
"""A chart has at least so many months, also of a new installation."""
TOP = 100.4
"""Where the axis of a rate ends, so that the mark at 100 % is whole."""


def pictures(words: Words) -> tuple[Picture, ...]:
    """The chart; none when there is nothing to draw."""
    language = words.language
    drawn = [key for key in FIRST if key in words.keys]
    known = [m for key in drawn for m, row in words.rows(key).items() if row.value is not None]
    if not known:
        return ()
    first = min(min(known), words.step(1 - LEAST))
    months = [m for n in range(1 - trend.MONTHS, 1) if (m := words.step(n)) >= first]
    latest = ", ".join(f"{words.title(key)} {words.value(key)}" for key in drawn)
    alt = language.say("{panels} by month; the newest: {latest}", panels=len(drawn), latest=latest)
    labels = [language.month(m, short=True) for m in months]
    panels = [_panel(words, key, months) for key in drawn]
    return (draw(language.say("The last months"), alt, labels, panels, language),)


def _panel(words: Words, key: str, months: Sequence[date]) -> Panel:
    metric, rows, language = words.metric(key), words.rows(key), words.language
    values = tuple(rows[m].value if m in rows else None for m in months)
    levels = (
        ((language.say("target"), metric.target), (language.say("alert"), metric.alert)) if metric else ()
    )
    # Nought is no level that a count can be seen to keep to.
    bounds = tuple(Bound(f"{name} {language.number(level)}", level) for name, level in levels if level)
    unit = words.unit(key)
    title = words.title(key)
    return Panel(title, unit, (Series(title, values),), bounds, top=TOP if unit == "%" else None)
