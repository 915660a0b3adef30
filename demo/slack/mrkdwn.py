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
_HELD = re.compile("\ue000(\\d+)\ue001")
_EDGE = r"(?<![\w{0}]){0}(?=\S)([^{0}\n]*?)(?<=\S){0}(?![\w{0}])"
_STYLES = (("*", "b", re.compile(_EDGE.format(r"\*"))), ("_", "i", re.compile(_EDGE.format("_"))))
_STRIKE = ("~", "s", re.compile(_EDGE.format("~")))
_QUOTE = re.compile(r"^&gt; ?(.*)$", re.MULTILINE)
_EMOJI = re.compile(r":([a-z0-9_+-]+):")

Names = Mapping[str, str]


def to_html(text: str, names: Names) -> Markup:
    """Mrkdwn as safe HTML; `names` maps ids of users, channels and groups to what a reader sees."""
    held: list[str] = []

    def hold(fragment: str) -> str:
        held.append(fragment)
        return f"\ue000{len(held) - 1}\ue001"

    def control(match: re.Match[str]) -> str:
        target, label = match.groups()
        if target[0] in "@#!":
            loud = " loud" if target in ("!here", "!channel", "!everyone") else ""
            return hold(f'<span class="mention{loud}">{html.escape(_mention(target, label, names))}</span>')
        shown = _escaped(label or target)
        return hold(f'<a href="{html.escape(_decoded(target))}" rel="noreferrer">{_emojis(shown)}</a>')

    text = text.replace("\ue000", "").replace("\ue001", "")
    text = _FENCE.sub(lambda match: hold(f"<pre>{_escaped(match[1])}</pre>"), text)
    text = _CODE.sub(lambda match: hold(f"<code>{_escaped(match[1])}</code>"), text)
    text = _escaped(_CONTROL.sub(control, text))
    for _, tag, pattern in (*_STYLES, _STRIKE):
        text = pattern.sub(rf"<{tag}>\1</{tag}>", text)
    text = _QUOTE.sub(r"<blockquote>\1</blockquote>", text)
    text = _emojis(text).replace("</blockquote>\n", "</blockquote>").replace("\n", "<br>\n")
    return Markup(_released(text, held))


def to_text(text: str, names: Names) -> str:
    """Mrkdwn as plain text for a terminal: emphasis dropped, links as "label <url>", mentions by name."""
    held: list[str] = []

    def hold(fragment: str) -> str:
        held.append(fragment)
        return f"\ue000{len(held) - 1}\ue001"

    def control(match: re.Match[str]) -> str:
        target, label = match.groups()
        if target[0] in "@#!":
            return hold(_mention(target, label, names))
        return hold(f"{_decoded(label)} <{_decoded(target)}>" if label else _decoded(target))

    text = _FENCE.sub(lambda match: hold(_decoded(match[1])), text)
    text = _CODE.sub(lambda match: hold(_decoded(match[1])), text)
    text = _CONTROL.sub(control, text)
    for _, _, pattern in (*_STYLES, _STRIKE):
        text = pattern.sub(r"\1", text)
    text = re.sub(r"^&gt; ?", "│ ", text, flags=re.MULTILINE)
    return _released(_emojis(_decoded(text)), held)


def plain(text: str) -> str:
    """A plain_text object or a message without markup: entities and emoji only."""
    return _emojis(_decoded(text))


def _mention(target: str, label: str | None, names: Names) -> str:
    kind, name = target[0], target[1:]
    if kind == "#":
        return f"#{names.get(name, label or name)}"
    if kind == "!" and name.startswith("subteam^"):
        name = name.removeprefix("subteam^")
    if kind == "!" and name.startswith("date^"):
        return _decoded(label or name)
    return f"@{names.get(name, (label or name).removeprefix('@'))}"


def _decoded(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _escaped(text: str) -> str:
    return html.escape(_decoded(text))


def _emojis(text: str) -> str:
    return _EMOJI.sub(lambda match: EMOJI.get(match[1], match[0]), text)


def _released(text: str, held: list[str]) -> str:
    replace: Callable[[re.Match[str]], str] = lambda match: _released(held[int(match[1])], held)  # noqa: E731
    return _HELD.sub(replace, text)
