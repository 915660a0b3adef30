# SPDX-License-Identifier: MIT
"""The report on a month: its figures beside the month before, where they have been going, and who uses the feature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from processing_time.reports import trend
from processing_time.reports.document import Judgement, Report, Table
from processing_time.reports.language import Language
from processing_time.reports.monthly_adoption import Adoption
from processing_time.reports.monthly_chart import pictures
from processing_time.reports.monthly_checklist import checklist
from processing_time.reports.monthly_period import window
from processing_time.reports.monthly_rollup import Rollup
from processing_time.reports.monthly_words import OVERLAPS, Words
from processing_time.settings import Settings
from processing_time.store_reports import Rolled


def report(rollup: Rollup, history: Sequence[Rolled], settings: Settings, language: Language) -> Report:
    """The report on a month.

    :param history: the rows of the twelve months before it, oldest first.
    """
    words, adoption = Words(rollup, history, settings, language), Adoption(rollup, history, language)
    headline, judgement = _headline(words)
    return Report(
        name=f"monthly-{rollup.month:%Y-%m}",
        language=language.code,
        title=language.say("Processing Time: {month}", month=language.month(rollup.month)),
        period=language.period(rollup.month, words.step(1) - timedelta(days=1)),
        headline=headline,
        judgement=judgement,
        figures=tuple(words.figure(key) for key in words.keys if key not in settings.log_rules),
        pictures=pictures(words),
        parts=(checklist(words, adoption), _trends(words), *adoption.tables()),
        notes=tuple(_notes(words)),
    )


def _headline(words: Words) -> tuple[str, Judgement]:
    language = words.language
    judged = {key: met for key in words.keys if (met := words.met(key)) is not None}
    missed = [key for key, met in judged.items() if not met]
    if not judged:
        return language.say("Too little was booked or measured to say anything."), Judgement.NEUTRAL
    one, many = "{met} of {n} target met.", "{met} of {n} targets met."
    texts = [language.count(one, many, len(judged), met=len(judged) - len(missed))]
    if missed:
        named = ", ".join(f"{words.title(key)} {words.value(key)}" for key in missed)
        texts.append(language.say("Missed: {named}.", named=named))
    if OVERLAPS in words.keys:
        direction = words.direction(words.course(OVERLAPS))
        told = {"title": words.title(OVERLAPS), "number": words.value(OVERLAPS), "direction": direction}
        texts.append(language.say("{title}: {number}, {direction}.", **told))
    return " ".join(texts), Judgement.BAD if missed else Judgement.GOOD


def _trends(words: Words) -> Table:
    say, rows = words.language.say, []
    marks = {Judgement.GOOD: " ✓", Judgement.BAD: " ✗", Judgement.NEUTRAL: ""}
    for key in words.keys:
        course = words.course(key)
        values = [words.value(key, months) for months in (0, -1, -12)]
        slope = words.number(key, course.slope, signed=True)
        going = words.direction(course) + marks[words.judged(key, course)]
        rows.append((words.title(key), *values, slope, going, words.chance(course)))
    months = [words.language.month(words.step(n), short=True) for n in (0, -1, -12)]
    return Table(
        title=say("Performance trends"),
        head=(say("Metric"), *months, say("Per month"), say("Trend"), say("Chance")),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3, 4, 6}),
        note=say(
            "Of up to {months} months. A trend is called one when chance alone puts the months into such an order less"
            " often than {level} (Mann-Kendall, exact); a month's change is the median of all pairs (Theil-Sen).",
            months=trend.MONTHS,
            level=words.language.quantity(100 * trend.LEVEL, "%"),
        ),
    )


def _notes(words: Words) -> Iterator[str]:
    """The small print: how it was counted, and what could not be."""
    say, rollup = words.language.say, words.rollup
    yield say(
        "Counted from the application's rows as they are now: what was deleted since then is missing, and services"
        " count as they are set up today. Log and cache come from the samples of the checks."
    )
    if rollup.doubt:
        yield words.language.remark(rollup.doubt)
    whole, hour = window(words.month, words.settings.zone).length, timedelta(hours=1)
    for key, covered in rollup.samples.covered.items():
        if timedelta() < covered < whole - timedelta(days=1):
            yield say(
                "{metric}: measured for {part} of {whole} hours.",
                metric=words.title(key),
                part=words.language.number(covered / hour),
                whole=words.language.number(whole / hour),
            )
    for key, reason in rollup.lost.items():
        yield f"{words.title(key)}: {reason}"
    if rollup.kept:
        named = ", ".join(map(words.title, rollup.kept))
        yield say("As rolled up before, because the rows or samples are gone: {named}.", named=named)
    if missing := _missing(words):
        yield say("Not rolled up, so missing in the trends: {months}.", months=", ".join(missing))


def _missing(words: Words) -> list[str]:
    """The months between the first that is known and this one of which nothing is."""
    there = {month for key in words.keys for month in words.rows(key)}
    first = min(there, default=words.month)
    months = (words.step(n) for n in range(1 - trend.MONTHS, 0))
    return [words.language.month(m) for m in months if m > first and m not in there]
