# SPDX-License-Identifier: MIT
"""A report as messages: one that is read in ten seconds, its chart below it, the details and the page in its thread."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from processing_time.messages.blocks import render
from processing_time.messages.document import Facts, Items, Links, Message, Note, Paragraph, Part
from processing_time.outbox import File, Notification, Place
from processing_time.reports.document import Answer, Checklist, Figure, Judgement, Report, Table
from processing_time.reports.language import Language

FIGURES_AT_ONCE = 6
"""Figures in the first message: what a glance takes in."""
LINES = 25
"""Rows of a table in the thread; the page has them all."""

_ICONS = {Judgement.GOOD: "✅", Judgement.BAD: "⚠️", Judgement.NEUTRAL: "📊"}
_SIGNS = {Answer.YES: "✅", Answer.NO: "❌", Answer.UNKNOWN: "❔", Answer.OPEN: "⬜"}


def notifications(
    report: Report, language: Language, key: str, *, page: bytes, links: dict[str, str], attach: bool
) -> list[Notification]:
    """What Slack is owed of a report.

    :param key: the ``dedupe_key`` of its first message, the same for every run about the same period.
    :param page: the HTML file; it goes into the thread when ``attach`` is set.
    :param links: label to address, as buttons.
    """
    owed = [Notification("report", key, "reports", render(first(report, links)))]
    for number, picture in enumerate(report.pictures):
        file = File(f"{report.name}-{number + 1}.png", picture.title, picture.png, picture.alt)
        owed.append(Notification("report", f"{key}/chart-{number + 1}", "reports", {}, file=file))
    owed += [
        Notification(
            "report", f"{key}/details-{n}", "reports", render(message), place=Place.THREAD, thread=key
        )
        for n, message in enumerate(details(report, language), 1)
    ]
    if attach:
        title = language.say("The whole report as a page")
        file = File(f"{report.name}.html", title, page)
        owed.append(Notification("report", f"{key}/page", "reports", {}, Place.THREAD, thread=key, file=file))
    return owed


def first(report: Report, links: dict[str, str]) -> Message:
    """What a manager reads."""
    facts = {figure.label: _glance(figure) for figure in islice(report.figures, FIGURES_AT_ONCE)}
    parts: list[Part] = [Paragraph(report.headline), Facts(facts), Note((report.period,))]
    if links:
        parts.append(Links(links))
    return Message(f"{_ICONS[report.judgement]} {report.title}", tuple(parts))


def details(report: Report, language: Language) -> Iterator[Message]:
    """What is behind it, a message for each part of the report that says something."""
    rest = report.figures[FIGURES_AT_ONCE:]
    if rest:
        yield Message("", (Facts({figure.label: _glance(figure) for figure in rest}),))
    for part in report.parts:
        if isinstance(part, Checklist):
            lines = "\n".join(
                f"{_SIGNS[item.answer]} {item.question}: {item.evidence}" for item in part.items
            )
            yield Message("", (Paragraph(f"\n{lines}", label=part.title),))
        elif part.rows:
            yield Message("", (_table(part, language),))
    if report.notes:
        yield Message("", (Note(report.notes),))


def _table(table: Table, language: Language) -> Items:
    shown = tuple(" · ".join(cell for cell in row if cell) for row in table.rows[:LINES])
    left = len(table.rows) - len(shown)
    more = (language.say("and {n} more", n=language.number(left)),) if left else ()
    return Items(f"{table.title} ({' · '.join(table.head)})", (*shown, *more), language.say("rows"))


def _glance(figure: Figure) -> str:
    """A value, whether it keeps to its target, and what it was."""
    mark = {True: " ✅", False: " ❌", None: ""}[figure.met]
    change = (
        f" ({figure.change}{ {Judgement.GOOD: ' 👍', Judgement.BAD: ' 👎'}.get(figure.judgement, '') })"
        if figure.change
        else ""
    )
    return f"{figure.value}{mark}{change}"
