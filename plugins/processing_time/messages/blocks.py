# SPDX-License-Identifier: MIT
"""A message as Slack takes it: Block Kit, and a plain ``text`` for notifications, screen readers and as a last resort.

Everything dynamic is escaped. What does not fit Slack's limits is cut at the end of a line, and the cut says how much
was left out, because a message is largest in the worst outage and must not be refused then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from processing_time.messages.document import Call, Facts, Items, Links, Message, Note, Paragraph, Part
from processing_time.settings import Settings

MAX_BLOCKS = 50
MAX_SECTION = 3_000
MAX_HEADER = 150
MAX_FIELDS = 10
MAX_FIELD = 2_000
MAX_CONTEXT = 10
MAX_BUTTONS = 25
MAX_BUTTON = 75
MAX_URL = 3_000
MAX_ALL = 10_000
"""Characters in all blocks together; Slack refuses a message somewhere above 13,000."""
MAX_TEXT = 3_500
"""Characters of ``text``: an update may have 4,000."""

Block = dict[str, Any]

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Characters that would format, by others that look like them.
_FORMATTING = re.compile(r"(?<!\w)[*_~](?=\S)|(?<=\S)[*_~](?!\w)|`")
_LOOK_ALIKES = {"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ"}
_EMOJI = re.compile(r":(?=[a-z0-9_+'-]*[a-z])([a-z0-9_+'-]+):")
_QUOTE = re.compile(r"^(?=\s*>)", re.MULTILINE)


def escape(text: str) -> str:
    """Text that arrives in Slack as it is: no mention, link, emoji, quote or formatting comes out of it."""
    text = _UNSEEN.sub("", text)
    text = _FORMATTING.sub(lambda found: _LOOK_ALIKES[found[0]], text)
    text = _EMOJI.sub("\u2236\\1\u2236", text)
    return _QUOTE.sub("\u200b", text).translate(_ENTITIES)


def render(message: Message, settings: Settings) -> dict[str, Any]:
    """``text`` and ``blocks`` for ``chat.postMessage`` and ``chat.update``.

    :param settings: those of the target, which the title names; connections are named as they are called there.
    """
    message = message.worded(settings.named)
    if message.title:
        message = replace(message, title=settings.titled(message.title))
    return {"text": _text(message), "blocks": _blocks(message)}


def cut_lines(lines: Sequence[str], room: int, what: str) -> str:
    """As many whole lines as fit into ``room`` characters, and a last one about the rest.

    A first line that is too long by itself is cut where it must be. The lines are escaped already.
    """
    ends = list(accumulate(len(line) + 1 for line in lines))
    if not ends or ends[-1] - 1 <= room:
        return "\n".join(lines)
    fitting = next(
        (
            n
            for n in range(len(lines) - 1, 0, -1)
            if ends[n - 1] + len(_left_out(len(lines) - n, what)) <= room
        ),
        0,
    )
    if fitting:
        return "\n".join([*lines[:fitting], _left_out(len(lines) - fitting, what)])
    rest = f"\n{_left_out(len(lines) - 1, what)}" if len(lines) > 1 else ""
    # Not in the middle of an entity.
    return re.sub(r"&[a-z]*$", "", lines[0][: max(0, room - len(rest) - 1)]) + "…" + rest


def _left_out(count: int, what: str) -> str:
    return f"… {count} more {what} left out"


# --- blocks -------------------------------------------------------------------------------------------------


def _blocks(message: Message) -> list[Block]:
    blocks = [_header(message.title)] if message.title else []
    lists = [part for part in message.parts if isinstance(part, Items)]
    fixed = sum(_size(_part(part, MAX_SECTION)) for part in message.parts if not isinstance(part, Items))
    room = max(200, (MAX_ALL - _size(blocks) - fixed) // max(1, len(lists)))
    for part in message.parts:
        blocks += _part(part, min(room, MAX_SECTION))
    return _fitting(blocks)


def _fitting(blocks: list[Block]) -> list[Block]:
    """The first blocks that fit together, and a last one about the rest."""
    sizes = list(accumulate(map(_size, blocks)))
    if len(blocks) <= MAX_BLOCKS and _size(blocks) <= MAX_ALL:
        return blocks
    kept = sum(size <= MAX_ALL - 100 for size in sizes[: MAX_BLOCKS - 1])
    return [*blocks[:kept], _context([_left_out(len(blocks) - kept, "parts")])]


def _part(part: Part, room: int) -> list[Block]:
    match part:
        case Paragraph():
            label = f"*{escape(part.label)}:* " if part.label else ""
            return [_section(label + cut_lines(_lines(part.text), MAX_SECTION - len(label), "lines"))]
        case Facts():
            return _fields(part)
        case Items():
            return [_list(part, room)] if part.lines else []
        case Call():
            return [_section(f"{part.token} {cut_lines([_line(part.text)], 500, 'lines')}")]
        case Links():
            return _buttons(part)
        case Note():
            lines = [cut_lines([_line(line)], 1_000, "lines") for line in part.lines]
            return [_context(lines)] if lines else []


def _header(title: str) -> Block:
    text = cut_lines([_line(title)], MAX_HEADER, "") or "–"
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text or "–"}}


def _fields(facts: Facts) -> list[Block]:
    texts = [
        f"*{escape(label)}*\n{cut_lines([_line(value)], MAX_FIELD - 200, 'lines') or '–'}"
        for label, value in facts.values.items()
    ]
    fields = [{"type": "mrkdwn", "text": text} for text in texts]
    return [
        {"type": "section", "fields": fields[start : start + MAX_FIELDS]}
        for start in range(0, len(fields), MAX_FIELDS)
    ]


def _list(items: Items, room: int) -> Block:
    title = f"*{escape(items.title)}*\n"
    lines = [f"• {_line(line)}" for line in items.lines]
    return _section(title + cut_lines(lines, room - len(title), items.what))


def _buttons(links: Links) -> list[Block]:
    buttons = [
        {
            "type": "button",
            "text": {
                "type": "plain_text",
                "text": cut_lines([_line(label)], MAX_BUTTON, "") or "–",
                "emoji": True,
            },
            "url": address,
            "action_id": f"link-{number}",
        }
        for number, (label, address) in enumerate(links.targets.items())
        if len(address) <= MAX_URL
    ][:MAX_BUTTONS]
    return [{"type": "actions", "elements": buttons}] if buttons else []


def _context(lines: Iterable[str]) -> Block:
    elements = [{"type": "mrkdwn", "text": line or "–"} for line in lines]
    return {"type": "context", "elements": elements[:MAX_CONTEXT]}


def _size(value: Any) -> int:
    """The characters of all texts in blocks."""
    if isinstance(value, dict):
        return sum(len(v) if k == "text" and isinstance(v, str) else _size(v) for k, v in value.items())
    return sum(map(_size, value)) if isinstance(value, list) else 0


# --- plain text ---------------------------------------------------------------------------------------------


def _text(message: Message) -> str:
    lines = [_line(message.title)] if message.title else []
    for part in message.parts:
        lines += _plain(part)
    return cut_lines(lines, MAX_TEXT, "lines")


def _plain(part: Part) -> list[str]:
    match part:
        case Paragraph():
            first, *rest = _lines(part.text)
            return [f"{escape(part.label)}: {first}" if part.label else first, *rest]
        case Facts():
            return [f"{escape(label)}: {_line(value)}" for label, value in part.values.items()]
        case Items():
            return (
                [f"{escape(part.title)}:", *(f"• {_line(line)}" for line in part.lines)] if part.lines else []
            )
        case Call():
            return [f"{part.token} {_line(part.text)}"]
        case Links():
            links = (
                (_address(address), _line(label).replace("|", "¦")) for label, address in part.targets.items()
            )
            return [f"<{address}|{label}>" for address, label in links if len(address) <= MAX_URL]
        case Note():
            return [_line(line) for line in part.lines]


def _lines(text: str) -> list[str]:
    return [_line(line) for line in text.splitlines()] or [""]


def _line(text: str) -> str:
    """One line, whatever the text holds; a name with a line break must not start a line of its own."""
    return escape(" ".join(text.split()))


def _address(address: str) -> str:
    return address.translate(_ENTITIES).replace("|", "%7C")
