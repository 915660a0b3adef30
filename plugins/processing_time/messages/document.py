# SPDX-License-Identifier: MIT
"""What a message says, without a word about Slack: a title and parts, all of them plain text.

Whatever renders a message escapes its texts and cuts what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text; its lines are kept. ``label`` is set in front, in bold."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and values, side by side."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Items:
    """A list that may be cut: it then says how many of what were left out.

    :param what: the plural of what a line is, such as ``companies``.
    """

    title: str
    lines: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Call:
    """A person or group that is called.

    :param token: the mention from the settings; the only text that is not escaped.
    """

    token: str
    text: str


@dataclass(frozen=True, slots=True)
class Links:
    """Buttons: label to address."""

    targets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Note:
    """Small print, an entry a line."""

    lines: tuple[str, ...]


Part = Paragraph | Facts | Items | Call | Links | Note


@dataclass(frozen=True, slots=True)
class Message:
    """A title, which may be empty, and parts."""

    title: str
    parts: tuple[Part, ...] = field(default_factory=tuple)

    def worded(self, words: Callable[[str], str]) -> Message:
        """The same message with each of its texts as ``words`` gives it."""
        worded: Message = _worded(self, words)
        return worded


def _worded(value: Any, words: Callable[[str], str]) -> Any:
    match value:
        case str():
            return words(value)
        case tuple():
            return tuple(_worded(item, words) for item in value)
        case Mapping():
            return {_worded(key, words): _worded(item, words) for key, item in value.items()}
        case _:
            return replace(value, **{f.name: _worded(getattr(value, f.name), words) for f in fields(value)})
