# SPDX-License-Identifier: MIT
"""The daily checklist as a message: a line an item, answered, with the counts behind it."""

from __future__ import annotations

from processing_time.messages.context import Context
from processing_time.messages.document import Links, Message, Note, Paragraph
from processing_time.summary import Answer

_ICONS = {Answer.YES: "✅", Answer.NO: "❌", Answer.UNKNOWN: "❔"}


def checklist(context: Context) -> Message:
    """The checklist of the day of this check."""
    day = context.as_of.astimezone(context.settings.zone)
    lines = [f"{_ICONS[line.answer]} {line.item} · {line.counts}" for line in context.summary.checklist]
    links = {"Airflow run": context.addresses.run} if context.addresses.run else {}
    return Message(
        f"📋 Daily checklist · {day:%a %d %b}",
        (Paragraph("\n".join(lines)), Links(links), Note(tuple(context.summary.lines))),
    )
