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
from processing_time.settings import Settings

FIGURES_AT_ONCE = 6
"""Figures in the first message: what a glance takes in."""
LINES = 10
"""Rows of a table in the thread; the page has them all."""

_ICONS = {Judgement.GOOD: "✅", Judgement.BAD: "⚠️", Judgement.NEUTRAL: "📊"}
_SIGNS = {Answer.YES: "✅", Answer.NO: "❌", Answer.UNKNOWN: "❔", Answer.OPEN: "⬜"}


def notifications(
    report: Report,
    settings: Settings,
    language: Language,
    key: str,
    *,
    page: bytes,
    links: dict[str, str],
    attach: bool,
) -> list[Notification]:
    """What Slack is owed of a report.

    :param key: the ``dedupe_key`` of its first message, the same for every run about the same period.
    :param page: the HTML file; it goes into the thread when ``attach`` is set.
    :param links: label to address, as buttons.
    """
    owed = [Notification("report", key, "reports", render(first(report, links), settings))]
    for number, picture in enumerate(report.pictures):
        file = File(f"{report.name}-{number + 1}.png", picture.title, picture.png, picture.alt)
        owed.append(Notification("report", f"{key}/chart-{number + 1}", "reports", {}, file=file))
    owed += [
        Notification(
            "report",
            f"{key}/details-{n}",
            "reports",
            render(message, settings),
            place=Place.THREAD,
            thread=key,
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
    """What is behind it: the other figures and the checklists answered, then the tables that hold something."""
    rest = {figure.label: _glance(figure) for figure in report.figures[FIGURES_AT_ONCE:]}
    answers = [part for part in report.parts if isinstance(part, Checklist)]
    tables = [_table(part, language) for part in report.parts if isinstance(part, Table) and part.rows]
    if rest or answers:
        yield Message("", (*([Facts(rest)] if rest else []), *map(_checklist, answers)))
    if tables or report.notes:
        yield Message("", (*tables, Note(report.notes)))


def _checklist(checklist: Checklist) -> Items:
    lines = tuple(f"{_SIGNS[item.answer]} {item.question}: {item.evidence}" for item in checklist.items)
    return Items(checklist.title, lines, "")


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
