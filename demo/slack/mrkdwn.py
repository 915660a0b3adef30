# SPDX-License-Identifier: MIT
"""Slack's mrkdwn, the part that messages use, as HTML or as plain text.

`*bold*`, `_italic_`, `~strike~`, code and code blocks, quotes, `<url|label>`, `<@U…>`, `<#C…>`, `<!subteam^S…>`,
`<!here>`, `&amp; &lt; &gt;`, `:emoji:` and line breaks. Everything else is shown as it was written.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping

from markupsafe import Markup

EMOJI = {
    "arrow_down": "⬇️",
    "arrow_right": "➡️",
    "arrow_up": "⬆️",
    "arrow_upper_right": "↗️",
    "ballot_box_with_check": "☑️",
    "bar_chart": "📊",
    "bell": "🔔",
    "black_circle": "⚫",
    "bulb": "💡",
    "calendar": "📅",
    "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈",
    "clipboard": "📋",
    "eyes": "👀",
    "fire": "🔥",
    "grey_question": "❔",
    "heavy_check_mark": "✔️",
    "hourglass": "⌛",
    "hourglass_flowing_sand": "⏳",
    "information_source": "ℹ️",
    "large_blue_circle": "🔵",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_red_square": "🟥",
    "large_yellow_circle": "🟡",
    "link": "🔗",
    "loud_sound": "🔊",
    "mag": "🔍",
    "mute": "🔇",
    "no_bell": "🔕",
    "no_entry": "⛔",
    "octagonal_sign": "🛑",
    "pager": "📟",
    "point_right": "👉",
    "question": "❓",
    "red_circle": "🔴",
    "repeat": "🔁",
    "rotating_light": "🚨",
    "see_no_evil": "🙈",
    "small_blue_diamond": "🔹",
    "small_orange_diamond": "🔸",
    "speech_balloon": "💬",
    "stethoscope": "🩺",
    "tada": "🎉",
    "thumbsup": "👍",
    "thread": "🧵",
    "+1": "👍",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "white_circle": "⚪",
    "wrench": "🔧",
    "x": "❌",
}

_FENCE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_CONTROL = re.compile(r"<((?:https?://|mailto:)[^<>|\s]+|[@#!][^<>|\s]+)(?:\|([^<>]*))?>")
_EDGE = r"(?<![\w{0}]){0}(?=\S)([^{0}\n]*?)(?<=\S){0}(?![\w{0}])"
_STYLES = {tag: re.compile(_EDGE.format(mark)) for tag, mark in (("b", r"\*"), ("i", "_"), ("s", "~"))}
_QUOTE = re.compile(r"^(?:&gt;|>) ?(.*)$", re.MULTILINE)
_EMOJI = re.compile(r":([a-z0-9_+-]+):")

Names = Mapping[str, str]


class _Fragments:
    """Parts that are finished, and stay out of what is done to the rest of the text."""

    _mark = re.compile("\ue000(\\d+)\ue001")

    def __init__(self) -> None:
        self._kept: list[str] = []

    def keep(self, pattern: re.Pattern[str], make: Callable[[re.Match[str]], str], text: str) -> str:
        """Put a mark where `pattern` matches, and keep what `make` makes of it."""

        def mark(match: re.Match[str]) -> str:
            self._kept.append(make(match))
            return f"\ue000{len(self._kept) - 1}\ue001"

        return pattern.sub(mark, text)

    def put_back(self, text: str) -> str:
        """The text with the parts in the place of their marks, those inside of parts too."""
        return self._mark.sub(lambda match: self.put_back(self._kept[int(match[1])]), text)


def to_html(text: str, names: Names) -> Markup:
    """Safe HTML; `names` maps ids of users, channels and groups to what a reader sees."""

    def control(match: re.Match[str]) -> str:
        target, label = match.groups()
        if target[0] in "@#!":
            loud = " loud" if target in ("!here", "!channel", "!everyone") else ""
            return f'<span class="mention{loud}">{_escaped(_mention(target, label, names))}</span>'
        return f'<a href="{_escaped(target)}" rel="noreferrer">{_emojis(_escaped(label or target))}</a>'

    fragments = _Fragments()
    text = _without_marks(text)
    text = fragments.keep(_FENCE, lambda match: f"<pre>{_escaped(match[1])}</pre>", text)
    text = fragments.keep(_CODE, lambda match: f"<code>{_escaped(match[1])}</code>", text)
    text = _escaped(fragments.keep(_CONTROL, control, text))
    for tag, pattern in _STYLES.items():
        text = pattern.sub(rf"<{tag}>\1</{tag}>", text)
    text = _QUOTE.sub(r"<blockquote>\1</blockquote>", text)
    text = _emojis(text).replace("</blockquote>\n", "</blockquote>").replace("\n", "<br>\n")
    return Markup(fragments.put_back(text))


def to_text(text: str, names: Names) -> str:
    """Plain text for a terminal: emphasis dropped, links as "label <url>", mentions by name."""

    def control(match: re.Match[str]) -> str:
        target, label = match.groups()
        if target[0] in "@#!":
            return _mention(target, label, names)
        return f"{_decoded(label)} <{_decoded(target)}>" if label else _decoded(target)

    fragments = _Fragments()
    text = _without_marks(text)
    text = fragments.keep(_FENCE, lambda match: _decoded(match[1]), text)
    text = fragments.keep(_CODE, lambda match: _decoded(match[1]), text)
    text = fragments.keep(_CONTROL, control, text)
    for pattern in _STYLES.values():
        text = pattern.sub(r"\1", text)
    text = _QUOTE.sub(r"│ \1", text)
    return fragments.put_back(_emojis(_decoded(text)))


def plain(text: str) -> str:
    """A plain_text object or a message without markup: entities and emoji only."""
    return _emojis(_decoded(text))


def _mention(target: str, label: str | None, names: Names) -> str:
    """What stands for `@U…`, `#C…`, `!subteam^S…`, `!here` or `!date^…|shown`."""
    kind, name = target[0], target[1:].removeprefix("subteam^")
    shown = names.get(name, _decoded(label or name))
    if name.startswith("date^"):
        return shown
    return f"{'#' if kind == '#' else '@'}{shown.removeprefix('@')}"


def _without_marks(text: str) -> str:
    return text.replace("\ue000", "").replace("\ue001", "")


def _decoded(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _escaped(text: str) -> str:
    return html.escape(_decoded(text))


def _emojis(text: str) -> str:
    return _EMOJI.sub(lambda match: EMOJI.get(match[1], match[0]), text)
