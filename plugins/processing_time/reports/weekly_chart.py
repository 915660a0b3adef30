# SPDX-License-Identifier: MIT
"""The chart of the weekly report: each day against the targets."""

from __future__ import annotations

from processing_time.model import Sample
from processing_time.reports.charts import Bound, Panel, Series, draw
from processing_time.reports.document import Picture
from processing_time.reports.weekly_figures import day, share
from processing_time.reports.weekly_words import Words

RATES = ("phase_creation_success_rate", "calcom_sync_success_rate")
VOLUME = "phase_creation_success_rate"
TOP = 100.4
"""Where the axis of a rate ends, so that the mark at 100 % is whole."""


def picture(words: Words) -> Picture:
    """The chart."""
    language = words.language
    panels = [_volume(words), *(_rate(words, key) for key in RATES if key in words.keys), _share(words)]
    alt = language.say(
        "Charts by day: {panels}. The numbers are in the report.", panels=", ".join(p.title for p in panels)
    )
    # On two lines, seven of them fit a phone.
    labels = [language.weekday(date).replace(" ", "\n") for date in words.figures.week.dates]
    return draw(language.say("The week by day"), alt, labels, panels, language)


def _volume(words: Words) -> Panel:
    say, found = words.language.say, _days(words, VOLUME)
    complete = tuple(s.numerator if s else 0 for s in found)
    without = tuple((s.denominator or 0) - (s.numerator or 0) if s else 0 for s in found)
    series = (Series(say("with phases"), complete), Series(say("without phases"), without))
    return Panel(say("Appointments with processing time"), "appointments", series, kind="bars")


def _rate(words: Words, key: str) -> Panel:
    metric, language = words.settings.metrics[key], words.language
    levels = ((language.say("target"), metric.target), (language.say("alert"), metric.alert))
    bounds = [
        Bound(f"{name} {language.number(level, 0 if level == int(level) else 1)}", level)
        for name, level in levels
        if level is not None
    ]
    series = Series(words.title(key), tuple(s.value if s else None for s in _days(words, key)))
    return Panel(words.title(key), metric.unit, (series,), tuple(bounds), top=TOP)


def _share(words: Words) -> Panel:
    """How much of each day's appointments have processing time."""
    say, figures = words.language.say, words.figures
    found = [share(c, w, figures.company) for c, w in zip(figures.days, figures.week.days, strict=True)]
    title = say("Share of all appointments")
    return Panel(title, "%", (Series(title, tuple(s.value if s else None for s in found)),), kind="bars")


def _days(words: Words, key: str) -> list[Sample | None]:
    figures = words.figures
    if key not in words.settings.metrics:
        return [None] * len(figures.days)
    return [
        day(counted, key, window, figures.company, words.settings)
        for counted, window in zip(figures.days, figures.week.days, strict=True)
    ]
