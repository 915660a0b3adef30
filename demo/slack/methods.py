# SPDX-License-Identifier: MIT
"""The Web API methods of the stand-in Slack, as plain functions from (workspace, caller, arguments) to an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from demo.slack import limits
from demo.slack.workspace import TEAM, Message, Workspace

Arguments = dict[str, Any]
Answer = dict[str, Any]


class SlackError(Exception):
    """An answer with `ok: false`; `status` and `headers` for those that are not a plain 200."""

    def __init__(
        self, code: str, *, status: int = 200, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(code)
        self.status = status
        self.headers = headers or {}
        self.answer: Answer = {"ok": False, "error": code, **more}


@dataclass(frozen=True)
class Call:
    """One call of a method: the workspace, who calls, with which arguments.

    `origin` is where the caller reaches this server, `site` where people do.
    """

    workspace: Workspace
    caller: dict[str, Any]
    arguments: Arguments
    origin: str
    site: str

    def required(self, name: str) -> str:
        """The argument as text; raises SlackError (invalid_arguments) without it."""
        value = self.arguments.get(name)
        if value in (None, ""):
            message = f"[ERROR] missing required field: {name}"
            raise SlackError("invalid_arguments", response_metadata={"messages": [message]})
        return str(value)

    def flag(self, name: str) -> bool:
        """The argument as a truth value, in JSON (true) or in a form ("true", "1")."""
        return str(self.arguments.get(name, "")).lower() in ("true", "1")

    def scope(self, needed: str) -> None:
        """Raise SlackError (missing_scope) unless the token has the scope `needed`."""
        scopes = self.caller["scopes"]
        if needed not in scopes:
            raise SlackError("missing_scope", needed=needed, provided=",".join(scopes))

    def channel(
        self, kind: str | None = None, *, member: bool = True, argument: str = "channel"
    ) -> dict[str, Any]:
        """The channel that the argument names by id. `kind` ("history", "read") is the scope looked for."""
        identifier = str(self.arguments.get(argument) or "")
        found: dict[str, Any] | None = self.workspace.channels.get(identifier)
        if found is None:
            raise SlackError("channel_not_found")
        if kind is not None:
            self.scope(f"{'groups' if found['is_private'] else 'channels'}:{kind}")
        if self.caller["user_id"] not in found["members"]:
            if found["is_private"]:
                raise SlackError("channel_not_found")
            if member:
                raise SlackError("not_in_channel")
        return found


@dataclass(frozen=True)
class Method:
    """How a method is called: the function, the scope it always needs, whether it reads a JSON body."""

    run: Callable[[Call], Answer]
    scope: str | None = None
    json_body: bool = False


def _auth_test(call: Call) -> Answer:
    user = call.workspace.users.get(call.caller["user_id"], {})
    return {
        "url": f"{call.site}/",
        "team": "Stand-in",
        "user": user.get("name", ""),
        "team_id": TEAM,
        "user_id": call.caller["user_id"],
        "bot_id": call.caller["bot_id"],
        "is_enterprise_install": False,
    }


def _content(call: Call, longest_text: int) -> Message:
    """Text, blocks and metadata of the arguments; raises SlackError when Slack would refuse them."""
    text = str(call.arguments.get("text") or "")
    blocks = _parsed(call.arguments.get("blocks"), "invalid_blocks_format")
    if blocks is not None and not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    if not text and not blocks:
        raise SlackError("no_text")
    if len(text) > longest_text:
        raise SlackError("msg_too_long")
    complaints = limits.complaints_about_blocks(blocks or [])
    if complaints:
        raise SlackError(
            "invalid_blocks",
            errors=complaints,
            response_metadata={"messages": [f"[ERROR] {complaint}" for complaint in complaints]},
        )
    if limits.text_length(blocks or []) > limits.MAX_TEXT_OF_BLOCKS:
        raise SlackError("msg_blocks_too_long")
    content: Message = {"text": text}
    if blocks:
        # Slack gives each block an id when the author did not.
        content["blocks"] = [{"block_id": f"b{i:03}", **block} for i, block in enumerate(blocks)]
    metadata = _parsed(call.arguments.get("metadata"), "invalid_metadata_format")
    if metadata is not None:
        error = limits.metadata_error(metadata) if metadata != {} else None
        if error:
            raise SlackError(error)
        content["metadata"] = metadata
    return content


def _parsed(value: Any, error: str) -> Any:
    """A structure that came as JSON, or as JSON text inside a form."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value else None
    except ValueError:
        raise SlackError(error) from None


def _post_message(call: Call) -> Answer:
    channel = call.channel()
    if channel["is_archived"]:
        raise SlackError("is_archived")
    content = _content(call, limits.MAX_TEXT)
    message: Message = {"type": "message", **_author(call), **content}
    if not message.get("metadata"):
        message.pop("metadata", None)
    thread_ts = call.arguments.get("thread_ts")
    if thread_ts:
        root = call.workspace.find(channel["id"], str(thread_ts))
        if root is None:
            raise SlackError("thread_not_found")
        message["thread_ts"] = root.get("thread_ts", root["ts"])
        if call.flag("reply_broadcast"):
            message["subtype"] = "thread_broadcast"
    message["ts"] = call.workspace.next_ts()
    call.workspace.in_channel(channel["id"]).append(message)
    call.workspace.save()
    return {
        "channel": channel["id"],
        "ts": message["ts"],
        "message": call.workspace.shown(channel["id"], message, metadata=True),
    }


def _author(call: Call) -> Message:
    return {
        "user": call.caller["user_id"],
        "bot_id": call.caller["bot_id"],
        "team": TEAM,
        "app_id": "A0STANDIN01",
    }


def _update(call: Call) -> Answer:
    channel = call.channel()
    message = call.workspace.find(channel["id"], call.required("ts"))
    if message is None:
        raise SlackError("message_not_found")
    if message["user"] != call.caller["user_id"]:
        raise SlackError("cant_update_message")
    content = _content(call, limits.MAX_TEXT_OF_UPDATE)
    message.pop("blocks", None)
    message.update(content)
    if not message.get("metadata"):
        message.pop("metadata", None)
    message["edited"] = {"user": call.caller["user_id"], "ts": f"{int(call.workspace.now())}.000000"}
    call.workspace.save()
    return {
        "channel": channel["id"],
        "ts": message["ts"],
        "text": message["text"],
        "message": call.workspace.shown(channel["id"], message, metadata=True),
    }


def _permalink(call: Call) -> Answer:
    channel = call.channel(member=False)
    message = call.workspace.find(channel["id"], call.required("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"{call.site}/archives/{channel['id']}/p{message['ts'].replace('.', '')}"
    if message.get("thread_ts", message["ts"]) != message["ts"]:
        link += f"?thread_ts={message['thread_ts']}&cid={channel['id']}"
    return {"channel": channel["id"], "permalink": link}


def _reactions_get(call: Call) -> Answer:
    channel = call.channel()
    message = call.workspace.find(channel["id"], call.required("timestamp"))
    if message is None:
        raise SlackError("message_not_found")
    return {
        "type": "message",
        "channel": channel["id"],
        "message": call.workspace.shown(channel["id"], message, metadata=False),
    }


def _reactions_add(call: Call) -> Answer:
    channel = call.channel()
    name = call.required("name").strip(":")
    try:
        added = call.workspace.react(channel["id"], call.required("timestamp"), name, call.caller["user_id"])
    except KeyError:
        raise SlackError("message_not_found") from None
    if not added:
        raise SlackError("already_reacted")
    return {}


def _history(call: Call) -> Answer:
    channel = call.channel("history")
    messages = [
        message
        for message in call.workspace.in_channel(channel["id"])
        if message.get("thread_ts", message["ts"]) == message["ts"]
        or message.get("subtype") == "thread_broadcast"
    ]
    return _page(call, channel["id"], _between(call, messages)[::-1])


def _replies(call: Call) -> Answer:
    call.required("channel")
    channel = call.channel("history")
    message = call.workspace.find(channel["id"], call.required("ts"))
    if message is None:
        raise SlackError("thread_not_found")
    root, *replies = call.workspace.thread(channel["id"], str(message.get("thread_ts", message["ts"])))
    return _page(call, channel["id"], [root, *_between(call, replies)])


def _between(call: Call, messages: list[Message]) -> list[Message]:
    oldest = str(call.arguments.get("oldest") or "0")
    latest = str(call.arguments.get("latest") or "9999999999")
    try:
        low, high = float(oldest), float(latest)
    except ValueError:
        raise SlackError("invalid_ts_oldest") from None
    edge = {oldest, latest} if call.flag("inclusive") else set()
    return [m for m in messages if low < float(m["ts"]) < high or m["ts"] in edge]


def _page(call: Call, channel: str, messages: list[Message]) -> Answer:
    limit = _limit(call, 100, 999)
    start = _cursor(call)
    shown = [
        call.workspace.shown(channel, message, metadata=call.flag("include_all_metadata"))
        for message in messages[start : start + limit]
    ]
    more = start + limit < len(messages)
    answer: Answer = {"messages": shown, "has_more": more, "pin_count": 0}
    if more:
        answer["response_metadata"] = {"next_cursor": f"after:{start + limit}"}
    return answer


def _limit(call: Call, default: int, most: int) -> int:
    try:
        limit = int(call.arguments.get("limit") or default)
    except ValueError:
        raise SlackError("invalid_limit") from None
    if not 1 <= limit <= most:
        raise SlackError("invalid_limit")
    return limit


def _cursor(call: Call) -> int:
    cursor = str(call.arguments.get("cursor") or "after:0")
    if not cursor.removeprefix("after:").isdigit():
        raise SlackError("invalid_cursor")
    return int(cursor.removeprefix("after:"))


def _channel_shown(call: Call, channel: dict[str, Any]) -> Answer:
    member = call.caller["user_id"] in channel["members"]
    return {
        **{key: value for key, value in channel.items() if key != "members"},
        "is_channel": not channel["is_private"],
        "is_group": channel["is_private"],
        "is_member": member,
        "num_members": len(channel["members"]),
    }


def _info(call: Call) -> Answer:
    call.required("channel")
    return {"channel": _channel_shown(call, call.channel("read", member=False))}


def _list(call: Call) -> Answer:
    types = str(call.arguments.get("types") or "public_channel").split(",")
    wanted = {"public_channel": False, "private_channel": True}
    private = {wanted[kind] for kind in types if kind in wanted}
    for kind in private:
        call.scope(f"{'groups' if kind else 'channels'}:read")
    channels = [
        _channel_shown(call, channel)
        for channel in call.workspace.channels.values()
        if channel["is_private"] in private
        and not (call.flag("exclude_archived") and channel["is_archived"])
        and not (channel["is_private"] and call.caller["user_id"] not in channel["members"])
    ]
    start, limit = _cursor(call), _limit(call, 100, 1000)
    following = f"after:{start + limit}" if start + limit < len(channels) else ""
    return {"channels": channels[start : start + limit], "response_metadata": {"next_cursor": following}}


def _user_info(call: Call) -> Answer:
    user = call.workspace.users.get(str(call.arguments.get("user") or ""))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": {**user, "deleted": False, "profile": {"real_name": user["real_name"]}}}


def _upload_url(call: Call) -> Answer:
    name, length = call.required("filename"), str(call.arguments.get("length") or "")
    if not length.isdigit() or int(length) == 0:
        raise SlackError("missing_argument")
    alt = str(call.arguments.get("alt_txt") or "")
    if len(alt) > limits.MAX_ALT:
        raise SlackError("alt_txt_too_large")
    identifier = f"F{len(call.workspace.files):010}"
    entry = {"id": identifier, "name": name, "length": int(length), "alt_txt": alt}
    call.workspace.update({"files": {identifier: entry}})
    return {"upload_url": f"{call.origin}/upload/{identifier}", "file_id": identifier}


def _complete_upload(call: Call) -> Answer:
    wanted = _parsed(call.arguments.get("files"), "invalid_arguments")
    if not isinstance(wanted, list) or not wanted:
        raise SlackError(
            "invalid_arguments", response_metadata={"messages": ["[ERROR] missing required field: files"]}
        )
    known = call.workspace.files
    if any(entry.get("id") not in known or "size" not in known[entry["id"]] for entry in wanted):
        raise SlackError("file_not_found")
    files = [
        {**_shown_file(known[entry["id"]]), "title": entry.get("title") or known[entry["id"]]["name"]}
        for entry in wanted
    ]
    if call.arguments.get("channel_id"):
        _share(call, files)
    call.workspace.save()
    return {"files": files}


def _shown_file(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("id", "name", "size", "alt_txt")}


def _share(call: Call, files: list[dict[str, Any]]) -> None:
    """Post files to a channel or into a thread."""
    channel = call.channel(argument="channel_id")
    if channel["is_archived"]:
        raise SlackError("is_archived")
    message: Message = {
        "type": "message",
        **_author(call),
        "text": str(call.arguments.get("initial_comment") or ""),
        "files": files,
        "ts": call.workspace.next_ts(),
    }
    if thread_ts := call.arguments.get("thread_ts"):
        root = call.workspace.find(channel["id"], str(thread_ts))
        if root is None:
            raise SlackError("thread_not_found")
        message["thread_ts"] = root.get("thread_ts", root["ts"])
    call.workspace.in_channel(channel["id"]).append(message)


METHODS: dict[str, Method] = {
    "api.test": Method(lambda call: {"args": call.arguments}, json_body=True),
    "auth.test": Method(_auth_test, json_body=True),
    "chat.postMessage": Method(_post_message, "chat:write", json_body=True),
    "chat.update": Method(_update, "chat:write", json_body=True),
    "chat.getPermalink": Method(_permalink),
    "reactions.get": Method(_reactions_get, "reactions:read"),
    "reactions.add": Method(_reactions_add, "reactions:write", json_body=True),
    "conversations.history": Method(_history, json_body=True),
    "conversations.replies": Method(_replies),
    "conversations.info": Method(_info),
    "conversations.list": Method(_list),
    "users.info": Method(_user_info, "users:read"),
    "files.getUploadURLExternal": Method(_upload_url, "files:write", json_body=True),
    "files.completeUploadExternal": Method(_complete_upload, "files:write", json_body=True),
}
