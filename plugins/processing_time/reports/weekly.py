# SPDX-License-Identifier: MIT
"""The weekly report as a document: the figures beside the week before, the guide's checklist, answered, and the details."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from processing_time.model import State
from processing_time.reports.document import Figure, Judgement, Report
from processing_time.reports.language import Language
from processing_time.reports.weekly_chart import picture
from processing_time.reports.weekly_checklist import checklist
from processing_time.reports.weekly_figures import ADOPTION, SHARE, Figures
from processing_time.reports.weekly_tables import tables
from processing_time.reports.weekly_words import UNJUDGED, Words
from processing_time.settings import Settings


def report(figures: Figures, settings: Settings, language: Language, as_of: datetime) -> Report:
    """The document, its chart drawn.

    :param as_of: whether an alert is still open is said of this instant; UTC.
    """
    week, words = figures.week, Words(figures, settings, language)
    headline, judgement = _headline(words)
    title = language.say("Processing Time, week {week}", week=week.number)
    if not week.whole:
        title = language.say("Processing Time, seven days")
    name = f"weekly-{week.first.isoformat()}"
    if company := figures.company_id:
        title += f" · {language.say('company {company}', company=company)}"
        name += f"-company-{company}"
    return Report(
        name=name,
        language=language.code,
        title=title,
        period=language.period(week.first, week.last),
        headline=headline,
        judgement=judgement,
        figures=(
            *_volume(words),
            *(_figure(words, key) for key in words.keys),
            *_usage(words),
            *_attention(words, as_of),
        ),
        pictures=(picture(words),),
        parts=(checklist(words, headline, judgement), *tables(words, as_of)),
        notes=tuple(_notes(words)),
    )


def _headline(words: Words) -> tuple[str, Judgement]:
    """What a manager reads first."""
    language = words.language
    states = {key: words.state(key) for key in words.keys}
    judged = [key for key, state in states.items() if state not in UNJUDGED]
    missed = [key for key in judged if states[key] is not State.OK]
    if not judged:
        return language.say("There was too little to measure in these seven days."), Judgement.NEUTRAL
    if missed:
        named = ", ".join(
            f"{words.title(key)} {words.value(key, words.figures.sample(key).value)}" for key in missed
        )
        text = language.say(
            "{missed} of {all} targets missed: {named}.", missed=len(missed), all=len(judged), named=named
        )
    else:
        text = language.count(
            "The one target that could be measured was met.", "All {n} targets were met.", len(judged)
        )
    return " ".join(filter(None, (text, words.blindness()))), Judgement.BAD if missed else Judgement.GOOD


def _volume(words: Words) -> Iterator[Figure]:
    """How many appointments there were; the basis of everything else."""
    rate, language = words.figures.sample(SHARE), words.language
    if rate.loss:
        return
    before = words.figures.previous(SHARE)
    earlier = before.numerator if before else None
    total = rate.numerator or 0
    yield Figure(
        language.say("Appointments with processing time"),
        language.number(total),
        before="" if earlier is None else language.number(earlier),
        change="" if earlier is None else language.signed(total - earlier),
    )


def _figure(words: Words, key: str) -> Figure:
    state = words.state(key)
    change, judgement = words.change(key)
    return Figure(
        label=words.title(key),
        value=words.value(key, words.figures.sample(key).value),
        before=words.before(key),
        change=change,
        judgement=judgement,
        target=words.target(key),
        met=None if state in UNJUDGED else state is State.OK,
        note=words.note(key),
    )


def _usage(words: Words) -> Iterator[Figure]:
    """Who uses it: its share of all appointments, and how many services."""
    language = words.language
    labels = {
        SHARE: language.say("Share of all appointments"),
        ADOPTION: language.say("Services using processing time"),
    }
    for key, label in labels.items():
        sample = words.figures.sample(key)
        part = language.say(
            "{part} of {all}",
            part=language.number(sample.numerator or 0),
            all=language.number(sample.denominator or 0),
        )
        change, judgement = words.change(key)
        yield Figure(
            label,
            words.value(key, sample.value),
            before=words.before(key),
            change=change,
            judgement=judgement,
            note=words.not_measured(sample.reason) if sample.loss else part,
        )


def _attention(words: Words, as_of: datetime) -> Iterator[Figure]:
    """What took people's attention: alerts, and hours without sight."""
    figures, language = words.figures, words.language
    window = figures.week.window
    opened = [a for a in figures.alerts if window.start <= a.opened_at < window.end]
    still = [a for a in figures.alerts if a.resolved_at is None or a.resolved_at > as_of]
    yield Figure(
        language.say("Alerts opened"),
        language.number(len(opened)),
        note=language.count("{n} is still open", "{n} are still open", len(still)),
    )
    hours, label = sum(b.hours for b in figures.blind), language.say("Hours in which monitoring was blind")
    if figures.watched:
        yield Figure(
            label, language.number(hours), target=language.say("target {bound}", bound=0), met=not hours
        )
    else:
        yield Figure(label, "–", note=language.say("there was no check yet"))


def _notes(words: Words) -> Iterator[str]:
    figures, language = words.figures, words.language
    window = figures.week.window
    yield language.say(
        "Counted from {start} to {end} ({zone}), {hours} hours, by when an appointment was created; phases and sync"
        " states as they were when this was made.",
        start=language.clock(window.start),
        end=language.clock(window.end),
        zone=words.settings.timezone,
        hours=language.number(window.length.total_seconds() / 3600),
    )
    yield from map(language.remark, figures.doubts)
    for key in words.keys:
        measured = figures.measured.get((key, figures.company))
        if measured and measured.samples > 1:
            yield language.say(
                "{metric}: put together from {n} checks, because each host has a log of its own."
                if words.settings.application.log_hosts
                else "{metric}: put together from {n} checks, because the log no longer holds the whole week.",
                metric=words.title(key),
                n=language.number(measured.samples),
            )
