# SPDX-License-Identifier: MIT
"""Slack messages as text for a terminal: what a reader would see, without the colours."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from demo.slack.mrkdwn import EMOJI, plain, to_text
from demo.slack.workspace import Message, Workspace, readers_names

_ZONE = ZoneInfo("Europe/Berlin")


def render_thread(
    messages: Sequence[Message], names: Mapping[str, str] | None = None, width: int = 100
) -> str:
    """The messages of one thread, the root first, `width` characters wide.

    `names` maps ids to what a reader sees; without it those of a fresh stand-in workspace.
    """
    known = names if names is not None else _default_names()
    return "\n".join(line for message in messages for line in _message(message, known, width))


def _default_names() -> dict[str, str]:
    return readers_names(Workspace())


def _message(message: Message, names: Mapping[str, str], width: int) -> Iterator[str]:
    reply = message.get("thread_ts", message["ts"]) != message["ts"]
    margin = "  │ " if reply else ""
    at = datetime.fromtimestamp(float(message["ts"]), UTC).astimezone(_ZONE)
    marks = [
        "(edited)" if "edited" in message else "",
        "(also sent to the channel)" if message.get("subtype") == "thread_broadcast" else "",
    ]
    author = names.get(message.get("user", ""), "?")
    yield " ".join(filter(None, [f"{margin}{author}  {at:%H:%M}", *marks]))
    body = message.get("blocks") or [
        {"type": "section", "text": {"type": "mrkdwn", "text": message.get("text", "")}}
    ]
    for block in body:
        for line in _block(block, names):
            yield from _wrapped(line, margin + "  ", width)
    for file in message.get("files", ()):
        yield f"{margin}  📎 {file['title']}"
    if message.get("reactions"):
        shown = "  ".join(f"{EMOJI.get(r['name'], r['name'])} {r['count']}" for r in message["reactions"])
        yield f"{margin}  {shown}"
    yield margin.rstrip()


def _block(block: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    kind = block["type"]
    if kind == "header":
        title = plain(block["text"]["text"])
        yield from (title, "─" * min(len(title), 60))
    elif kind == "section":
        if block.get("text"):
            yield from _text(block["text"], names).split("\n")
        fields = [_text(entry, names).replace("\n", ": ", 1) for entry in block.get("fields", ())]
        yield from (
            f"{left:<44}  {right}" for left, right in zip_longest(fields[::2], fields[1::2], fillvalue="")
        )
    elif kind == "context":
        for entry in block["elements"]:
            yield from _text(entry, names).split("\n") if entry["type"] != "image" else ()
    elif kind == "actions":
        yield "  ".join(f"[{plain(entry['text']['text'])}]" for entry in block["elements"])
    elif kind == "image":
        yield f"🖼  {block['alt_text']}"
    elif kind == "divider":
        yield "┄" * 40


def _text(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return to_text(entry["text"], names) if entry["type"] == "mrkdwn" else plain(entry["text"])


def _wrapped(line: str, margin: str, width: int) -> Iterable[str]:
    wrapped = textwrap.wrap(line, width - len(margin), break_long_words=False, break_on_hyphens=False)
    return [f"{margin}{part}".rstrip() for part in wrapped or [""]]
