# SPDX-License-Identifier: MIT
"""The guide's weekly checklist, each line answered from what was measured."""

from __future__ import annotations

from processing_time.model import State
from processing_time.reports.document import Answer, Checklist, Item, Judgement
from processing_time.reports.weekly_figures import ADOPTION, SHARE
from processing_time.reports.weekly_rows import IDS_SHOWN
from processing_time.reports.weekly_tables import phase_order, service_name
from processing_time.reports.weekly_words import Words

NAMES_SHOWN = 8
_REVIEWED = {Judgement.GOOD: Answer.YES, Judgement.BAD: Answer.NO, Judgement.NEUTRAL: Answer.UNKNOWN}


def checklist(words: Words, headline: str, judgement: Judgement) -> Checklist:
    """The checklist.

    :param headline: what the report says as a whole.
    """
    say = words.language.say
    items = (
        Item(say("Weekly performance report"), _REVIEWED[judgement], headline),
        _against_target(words, say("Orphaned appointments"), "orphaned_appointments", _ids(words)),
        _against_target(words, say("Phase distribution"), "phase_distribution", _shares(words)),
        _against_target(words, say("Overlapping bookings"), "overlapping_bookings", ""),
        Item(say("Service adoption"), *_adoption(words)),
    )
    return Checklist(say("Weekly checklist"), items)


def _against_target(words: Words, question: str, key: str, more: str) -> Item:
    if key not in words.keys:
        return Item(question, Answer.UNKNOWN, words.language.say("disabled in the settings"))
    state, sample, note = words.state(key), words.figures.sample(key), words.note(key)
    if state is State.UNKNOWN or sample.value is None:
        return Item(question, Answer.UNKNOWN, note)
    evidence = f"{words.value(key, sample.value)} ({words.target(key)}), {note}"
    answer = {State.OK: Answer.YES, State.INSUFFICIENT_DATA: Answer.UNKNOWN}.get(state, Answer.NO)
    return Item(question, answer, "; ".join(filter(None, (evidence, more))))


def _ids(words: Words) -> str:
    """The newest appointments without phases."""
    ids = [id_ for company, id_ in words.figures.rows.orphans if words.figures.about(company)][:IDS_SHOWN]
    if not ids:
        return ""
    left = int(words.figures.sample("orphaned_appointments").value or 0) - len(ids)
    return words.language.say("newest ids: {ids}", ids=", ".join(map(str, ids))) + words.and_more(left)


def _shares(words: Words) -> str:
    detail, language = words.figures.sample("phase_distribution").detail, words.language
    expected_shares = detail.get("expected_shares", {})
    return ", ".join(
        language.say(
            "{phase} {share} (expected {expected})",
            phase=language.say(phase),
            share=language.quantity(detail["shares"].get(phase, 0.0), "%", 1),
            expected=language.quantity(expected_shares[phase], "%", 1),
        )
        for phase in sorted(expected_shares, key=phase_order)
    )


def _adoption(words: Words) -> tuple[Answer, str]:
    language, adoption = words.language, words.figures.adoption()
    services, share = words.figures.sample(ADOPTION), words.figures.sample(SHARE)
    if adoption is None:
        return Answer.UNKNOWN, words.not_measured(services.reason)
    text = language.say(
        "{used} of {all} services used it, {share} of all appointments",
        used=language.number(services.numerator or 0),
        all=language.number(services.denominator or 0),
        share=words.value(SHARE, share.value),
    )
    for label, ids in ((language.say("new"), adoption.new), (language.say("dropped"), adoption.dropped)):
        text += f"; {label}: {_names(words, ids)}"
    return Answer.YES if adoption.used else Answer.NO, text


def _names(words: Words, ids: frozenset[int | str]) -> str:
    names = sorted(service_name(words.figures, id_) for id_ in ids)
    if not names:
        return words.language.say("none")
    return ", ".join(names[:NAMES_SHOWN]) + words.and_more(len(names) - NAMES_SHOWN)
