# SPDX-License-Identifier: MIT
"""What the stand-in Slack remembers: tokens, channels, users, messages, files. Kept in one JSON file."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

TOKEN = "xoxb-stand-in-monitor"
TEAM = "T0STANDIN01"
BOT_USER = "U0MONITOR01"
BOT_ID = "B0MONITOR01"
_GROUP = "S0ONCALL001"
#: The mention of the on-call group, as `slack.on_call` in the settings.
ON_CALL_GROUP = f"<!subteam^{_GROUP}>"

#: The channel of each severity, as `slack.channels` in the settings names them.
CHANNELS = {
    "info": "C0INFO00001",
    "medium": "C0MEDIUM001",
    "high": "C0HIGH00001",
    "critical": "C0CRITICAL1",
    "reports": "C0REPORTS01",
}
#: A channel that the bot was not invited to, one that is archived, and a private one that it cannot see.
STRANGE_CHANNELS = {"uninvited": "C0UNINVITED", "archived": "C0ARCHIVED1", "secret": "G0SECRET001"}

#: The scopes of the app manifest in docs/.
SCOPES = (
    "channels:history",
    "channels:read",
    "chat:write",
    "files:write",
    "groups:history",
    "groups:read",
    "reactions:read",
    "users:read",
)

Message = dict[str, Any]


def _fresh() -> dict[str, Any]:
    """A workspace as it is before anybody wrote anything."""

    def channel(identifier: str, name: str, *, member: bool = True, **more: Any) -> dict[str, Any]:
        members = ["U0ANNA00001", "U0BEN000001", *([BOT_USER] if member else [])]
        return {
            "id": identifier,
            "name": name,
            "members": members,
            "is_private": False,
            "is_archived": False,
            **more,
        }

    def user(identifier: str, name: str, real_name: str, *, is_bot: bool = False) -> dict[str, Any]:
        return {"id": identifier, "name": name, "real_name": real_name, "is_bot": is_bot}

    channels = [
        channel(CHANNELS["info"], "booking-info"),
        channel(CHANNELS["medium"], "booking-warnings"),
        channel(CHANNELS["high"], "booking-alerts"),
        channel(CHANNELS["critical"], "booking-critical"),
        channel(CHANNELS["reports"], "booking-reports"),
        channel(STRANGE_CHANNELS["uninvited"], "random", member=False),
        channel(STRANGE_CHANNELS["archived"], "old-alerts", is_archived=True),
        channel(STRANGE_CHANNELS["secret"], "board", member=False, is_private=True),
    ]
    users = [
        user(BOT_USER, "processing_time", "Processing Time", is_bot=True),
        user("U0DEPLOY001", "deploybot", "Deploy Bot", is_bot=True),
        user("U0ANNA00001", "anna", "Anna Krüger"),
        user("U0BEN000001", "ben", "Ben Özdemir"),
        user("U0CLARA0001", "clara", "Clara Sørensen"),
    ]
    return {
        "tokens": {TOKEN: {"user_id": BOT_USER, "bot_id": BOT_ID, "scopes": list(SCOPES)}},
        "channels": {entry["id"]: entry for entry in channels},
        "users": {entry["id"]: entry for entry in users},
        "usergroups": {_GROUP: "on-call"},
        "messages": {},
        "files": {},
        "enforce_rate": False,
        "clock": None,
        "last_ts": 0,
    }


class Workspace:
    """The state behind the API and the page. Every change is on disk before it is answered."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._state = _fresh()
        if file is not None and file.exists():
            self._state.update(json.loads(file.read_text(encoding="utf-8")))

    def __getattr__(self, name: str) -> Any:
        try:
            return self._state[name]
        except KeyError:
            raise AttributeError(name) from None

    def reset(self) -> None:
        """Forget everything."""
        self._state = _fresh()
        self.save()

    def update(self, changes: dict[str, Any]) -> None:
        """Merge `changes` into the state, one level deep for the mappings; an entry that is null is removed."""
        for key, value in changes.items():
            if isinstance(self._state[key], dict):
                for name, entry in value.items():
                    if entry is None:
                        self._state[key].pop(name, None)
                    elif isinstance(entry, dict):
                        self._state[key].setdefault(name, {}).update(entry)
                    else:
                        self._state[key][name] = entry
            else:
                self._state[key] = value
        self.save()

    def save(self) -> None:
        """Write the state so that a crash leaves the old or the new one, never half of one."""
        if self._file is None:
            return
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._state, ensure_ascii=False), encoding="utf-8")
        Path(partial).replace(self._file)

    def now(self) -> float:
        """Seconds since 1970: the set clock if there is one, else the real one."""
        return float(self._state["clock"] if self._state["clock"] is not None else time.time())

    def next_ts(self) -> str:
        """A message timestamp: seconds and six digits, unique and growing even while the clock stands."""
        micros = max(int(self.now() * 1_000_000) // 100 * 100, self._state["last_ts"] + 100)
        self._state["last_ts"] = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    def in_channel(self, channel: str) -> list[Message]:
        """The channel's messages, replies included, oldest first. Changing one changes the state."""
        messages: list[Message] = self._state["messages"].setdefault(channel, [])
        return messages

    def find(self, channel: str, ts: str) -> Message | None:
        """The message with this timestamp in the channel."""
        return next((message for message in self.in_channel(channel) if message["ts"] == ts), None)

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The root with timestamp `ts` and its replies, oldest first; empty without such a root."""
        return [m for m in self.in_channel(channel) if m["ts"] == ts or m.get("thread_ts") == ts]

    def shown(self, channel: str, message: Message, *, metadata: bool) -> Message:
        """A message as the API gives it: with the thread's figures, and the metadata only when asked for."""
        shown = copy.deepcopy(message)
        replies = [m for m in self.thread(channel, message["ts"]) if m["ts"] != message["ts"]]
        if replies:
            repliers = list(dict.fromkeys(reply["user"] for reply in replies))
            shown |= {
                "thread_ts": message["ts"],
                "reply_count": len(replies),
                "reply_users": repliers,
                "reply_users_count": len(repliers),
                "latest_reply": replies[-1]["ts"],
            }
        if not metadata and "metadata" in shown:
            shown["metadata"] = {"event_type": shown["metadata"]["event_type"]}
        return shown

    def react(self, channel: str, ts: str, name: str, user: str) -> bool:
        """Add a reaction; False when this user has it there already. Raises KeyError without such a message."""
        message = self.find(channel, ts)
        if message is None:
            raise KeyError(ts)
        reactions: list[dict[str, Any]] = message.setdefault("reactions", [])
        entry = next((reaction for reaction in reactions if reaction["name"] == name), None)
        if entry is None:
            entry = {"name": name, "users": [], "count": 0}
            reactions.append(entry)
        if user in entry["users"]:
            return False
        entry["users"].append(user)
        entry["count"] = len(entry["users"])
        self.save()
        return True


def readers_names(workspace: Workspace) -> dict[str, str]:
    """What a reader sees for an id: people's and bots' names, groups' handles, channels' names."""
    people = {entry["id"]: entry["real_name"] for entry in workspace.users.values()}
    channels = {entry["id"]: entry["name"] for entry in workspace.channels.values()}
    return {**people, **channels, **workspace.usergroups}
