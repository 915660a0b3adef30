# SPDX-License-Identifier: MIT
"""The guide's monthly checklist, answered as far as data can; the rest are open items for people."""

from __future__ import annotations

from processing_time.reports import trend
from processing_time.reports.document import Answer, Checklist, Item, Judgement
from processing_time.reports.monthly_adoption import Adoption
from processing_time.reports.monthly_words import OVERLAPS, Words
from processing_time.store_reports import Trend


def checklist(words: Words, adoption: Adoption) -> Checklist:
    """The checklist of a month."""
    say = words.language.say
    items = (
        Item(say("Analyze performance trends"), *_performance(words)),
        Item(say("Overlapping bookings increase"), *_increase(words)),
        Item(say("Review rollout progress"), *adoption.progress()),
        Item(say("Review customer feedback"), Answer.OPEN, say("No data says how customers like it.")),
        Item(say("Plan optimizations"), Answer.OPEN, _missed(words)),
        Item(
            say("Update documentation"),
            Answer.OPEN,
            say("For people: does it still say what the application does?"),
        ),
    )
    return Checklist(say("Monthly checklist"), items)


def _performance(words: Words) -> tuple[Answer, str]:
    say, courses = words.language.say, {key: words.course(key) for key in words.keys}
    if all(course.trend is Trend.TOO_FEW for course in courses.values()):
        text = say("{least} months are needed to tell a trend from chance.", least=trend.LEAST)
        return Answer.UNKNOWN, text
    named = {
        judgement: ", ".join(words.title(k) for k, c in courses.items() if words.judged(k, c) is judgement)
        for judgement in Judgement
    }
    texts = []
    if better := named[Judgement.GOOD]:
        texts.append(say("Better: {named}.", named=better))
    if worse := named[Judgement.BAD]:
        texts.append(say("Worse: {named}.", named=worse))
    return Answer.NO if worse else Answer.YES, " ".join(texts) or say("Nothing gets better or worse.")


def _increase(words: Words) -> tuple[Answer, str]:
    """The guide's check of overlapping bookings: yes only when the increase differs from chance."""
    if OVERLAPS not in words.keys:
        return Answer.UNKNOWN, words.language.say("They were not measured.")
    course = words.course(OVERLAPS)
    months = words.language.count("{n} month", "{n} months", course.months)
    if course.trend is Trend.TOO_FEW:
        return Answer.UNKNOWN, f"{words.direction(course)}: {months}"
    text = words.language.say(
        "{slope} a month, {told}; chance alone: {chance}, over {months}.",
        slope=words.number(OVERLAPS, course.slope, signed=True),
        told=words.direction(course),
        chance=words.chance(course),
        months=months,
    )
    return Answer.YES if course.trend is Trend.UP else Answer.NO, text


def _missed(words: Words) -> str:
    """Where an optimization would be worth its while."""
    missed = [key for key in words.keys if words.met(key) is False]
    if not missed:
        return words.language.say("Every target that could be judged was met.")
    lines = "; ".join(f"{words.title(key)} {words.value(key)} ({words.target(key)})" for key in missed)
    return words.language.say("Where targets were missed: {lines}.", lines=lines)
