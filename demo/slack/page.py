# SPDX-License-Identifier: MIT
"""The stand-in Slack as a page: channels, threads and messages the way a reader of the real one sees them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from demo.slack.mrkdwn import EMOJI, plain, to_html
from demo.slack.workspace import BOT_USER, Message, Workspace, readers_names

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data: https: http:",
    "Referrer-Policy": "no-referrer",
}

_ZONE = ZoneInfo("Europe/Berlin")
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def render(workspace: Workspace, channel: str = "", thread: str = "") -> str:
    """The whole workspace, one channel, or one thread of it, as HTML."""
    names = readers_names(workspace)
    template = _TEMPLATES.get_template("page.html")
    shown = [channel] if channel in workspace.channels else list(workspace.channels)
    return template.render(
        workspace=workspace,
        channels=[_channel(workspace, identifier, thread) for identifier in shown],
        sidebar=[
            entry
            for entry in workspace.channels.values()
            if BOT_USER in entry["members"] and not entry["is_archived"]
        ],
        selected=channel,
        thread=thread,
        names=names,
        mrkdwn=lambda text: to_html(text, names),
        text_object=lambda entry: _text_object(entry, names),
        plain=plain,
        emoji=lambda name: EMOJI.get(name, f":{name}:"),
        clock=lambda ts: _local(ts).strftime("%H:%M"),
        full_time=lambda ts: _local(ts).strftime("%A %d %B %Y, %H:%M:%S"),
        initials=lambda user: "".join(part[0] for part in names.get(user, "?").split()[:2]).upper(),
    )


def _channel(workspace: Workspace, identifier: str, thread: str) -> dict[str, Any]:
    """A channel with its threads by day; with `thread`, that thread only."""
    messages = workspace.in_channel(identifier)
    roots = [
        message
        for message in messages
        if (message["ts"] == thread)
        or (not thread and (message.get("thread_ts", message["ts"]) == message["ts"]))
    ]
    threads: list[dict[str, Any]] = [
        {"root": root, "replies": workspace.thread(identifier, root["ts"])[1:]} for root in roots
    ]
    days = [
        {"day": day, "threads": list(entries)}
        for day, entries in groupby(threads, key=lambda entry: f"{_local(entry['root']['ts']):%A, %-d %B}")
    ]
    return {**workspace.channels[identifier], "days": days, "count": len(messages)}


def _text_object(entry: Message, names: dict[str, str]) -> Markup:
    if entry["type"] == "mrkdwn":
        return to_html(entry["text"], names)
    return Markup("{}").format(plain(entry["text"]))


def _local(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC).astimezone(_ZONE)
