# SPDX-License-Identifier: MIT
"""The outbox to Slack: oldest first, one message a second a channel, nothing twice that Slack can tell us about.

An attempt is committed before Slack is called. When the answer is lost, the message is looked for by its metadata
before it is sent again. What Slack refuses is tried in a plainer form or in another channel; what still does not work
stays owed, and the task fails with a sentence that names the fix.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from processing_time.outbox import THREAD_ADDRESS, File, Outbox, Owed, Payload, Place
from processing_time.settings import Settings
from processing_time.slack_calls import Refused, Slack, SlackProblem, Stop, Unclear

log = logging.getLogger(__name__)

EVENT_TYPE = "processing_time"
PACE = 1.0
"""Seconds between two messages to one channel."""
MARGIN = timedelta(minutes=10)
"""How far Slack's clock and ours may be apart when a message is looked for."""
PAGES = 10
"""How many pages of 200 messages are looked through for one."""
DOUBTS = 3
"""After so many lost answers a round ends: each costs a time-out, and Slack is not well."""

_TOO_FANCY = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "block_mismatch"}
)
_NOT_HERE = ("channel_not_found", "not_in_channel", "is_archived", "thread_not_found", "restricted_action")
"""How the codes begin: an admin's restriction is of a channel, of its threads, or of one thread."""

Where = tuple[str, str]


class DeliveryError(Exception):
    """Messages are still owed. The text says why, and what to mend."""


def deliver(
    outbox: Outbox,
    slack: Slack,
    settings: Settings,
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> int:
    """Deliver what is owed; how many messages that were.

    One message that fails holds up the later ones of its own thread, no others.

    :param clock: the present time, aware.
    :param sleep: waits some seconds.
    :raises DeliveryError: when messages are still owed, after all others have been tried.
    :raises StoreError: when the store cannot be used, or another process delivers for a long time.
    """
    with outbox.delivering():
        return _Round(outbox, slack, settings, clock, sleep).run()


class _Round:
    def __init__(
        self,
        outbox: Outbox,
        slack: Slack,
        settings: Settings,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._outbox, self._slack, self._settings = outbox, slack, settings
        self._clock, self._sleep = clock, sleep
        self._last: dict[str, datetime] = {}

    def run(self) -> int:
        due = self._outbox.due(self._clock())
        held: set[int | str | None] = set()
        problems: dict[str, None] = {}
        delivered = doubts = 0
        for owed in due:
            if owed.alert_id in held or owed.thread_key in held:
                continue
            try:
                self._deliver(owed)
                delivered += 1
            except SlackProblem as problem:
                problems[problem.sentence] = None
                held |= {owed.alert_id, owed.dedupe_key} - {None}
                doubts += isinstance(problem, Unclear)
                if isinstance(problem, Stop) or doubts == DOUBTS:
                    break
        if problems:
            count = f"{len(due) - delivered} of {len(due)} messages are still owed to Slack"
            raise DeliveryError(f"{count}: {'; '.join(problems)}")
        return delivered

    def _deliver(self, owed: Owed) -> None:
        thread = (
            self._outbox.message(owed.thread_key) if owed.thread_key else self._outbox.thread(owed.alert_id)
        )
        if owed.place.needs_thread and thread is None:
            raise Refused("no_thread", "a reply waits until the first message of its thread is delivered")
        root = owed.root
        if owed.place is Place.ROOT_ONLY:
            root = owed.payload
        elif owed.at is None:
            found = self._found(owed, thread) if owed.in_doubt_since else None
            self._outbox.posted(owed, *(found or self._post(owed, thread)))
        self._update_root(owed, thread, root)
        if owed.kind in ("resolved", "quietly"):
            # The worse channel was told when the severity rose; it must not look as if that still held.
            for message in self._outbox.pointers(owed.alert_id):
                self._update_root(owed, message, root)
        self._outbox.delivered(owed, self._clock())

    # --- post -----------------------------------------------------------------------------------------------

    def _post(self, owed: Owed, thread: Where | None) -> Where:
        """Post in the first of the places, and the first of the forms, that Slack takes."""
        payload = self._addressed(owed.payload, thread)
        refusals: list[str] = []
        for channel, ts in self._places(owed, thread):
            shown = _with_remark(payload, refusals) if refusals and payload else payload
            try:
                return self._post_once(owed, channel, ts, shown)
            except Refused as refusal:
                if not refusal.code.startswith(_NOT_HERE):
                    raise
                log.warning("Slack does not take %s in %s: %s", owed.dedupe_key, channel, refusal.code)
                refusals.append(f"meant for <#{channel}>: {refusal.code}")
        raise Refused(refusals[-1].rpartition(" ")[2], _mend_channel(refusals))

    def _post_once(self, owed: Owed, channel: str, thread_ts: str | None, payload: Payload) -> Where:
        if owed.file:
            return self._share(owed, owed.file, channel, thread_ts)
        try:
            return self._call_post(owed, channel, thread_ts, payload)
        except Refused as refusal:
            if refusal.code not in _TOO_FANCY:
                raise
            log.warning(
                "Slack does not take the blocks of %s (%s): sent as plain text", owed.dedupe_key, refusal.code
            )
            return self._call_post(owed, channel, thread_ts, {"text": payload["text"]})

    def _call_post(self, owed: Owed, channel: str, thread_ts: str | None, payload: Payload) -> Where:
        """Post; channel and ts of the message."""
        reply = (
            {"thread_ts": thread_ts, "reply_broadcast": owed.place is Place.BROADCAST} if thread_ts else {}
        )
        metadata = {"event_type": EVENT_TYPE, "event_payload": self._name(owed)}

        def post() -> Where:
            answer = self._slack.call(
                "chat_postMessage",
                channel=channel,
                metadata=metadata,
                unfurl_links=False,
                unfurl_media=False,
                **reply,
                **payload,
            )
            return answer["channel"], answer["ts"]

        return self._attempted(owed, channel, thread_ts, post)

    def _share(self, owed: Owed, file: File, channel: str, thread_ts: str | None) -> Where:
        """Upload a file unless Slack has it, and share it; channel and id of the file (Slack tells no ts)."""
        if not file.slack_id:
            file = replace(file, slack_id=self._slack.upload(file.name, file.content, file.alt))
            self._outbox.uploaded(owed, str(file.slack_id))
        owed = replace(owed, file=file)
        shared = [{"id": file.slack_id, "title": file.title}]
        reply = {"thread_ts": thread_ts} if thread_ts else {}

        def share() -> Where:
            try:
                self._slack.call("files_completeUploadExternal", files=shared, channel_id=channel, **reply)
            except Refused as refusal:
                if refusal.code == "file_not_found":  # it lay there too long: the next attempt brings it anew
                    self._outbox.uploaded(owed, None)
                raise
            return channel, str(file.slack_id)

        return self._attempted(owed, channel, thread_ts, share)

    def _attempted(self, owed: Owed, channel: str, thread_ts: str | None, post: Callable[[], Where]) -> Where:
        """Post, note what came of it, and after an unclear answer look and post once more."""
        for last in (False, True):
            self._pace(channel)
            self._outbox.attempt(owed, channel, self._clock())
            try:
                return post()
            except Unclear as unclear:
                self._outbox.unclear(owed, unclear.sentence)
                if last:
                    raise
                if found := self._look(owed, channel, thread_ts, self._clock()):
                    return found
            except (Refused, Stop) as refusal:
                self._outbox.refused(owed, refusal.sentence)
                raise
        raise AssertionError("the second time either returns or raises")

    def _places(self, owed: Owed, thread: Where | None) -> Iterator[tuple[str, str | None]]:
        """Where a message may go: its thread, its channel, then the other channels of the settings."""
        first: list[tuple[str, str | None]] = [thread] if owed.place.needs_thread and thread else []
        slack = self._settings.slack
        routes = (owed.route, "high", "critical", "medium", "info", "reports")
        channels = [thread[0]] if first and thread else []
        channels += [channel for channel in map(slack.channel, routes) if channel]
        if not channels:
            raise Stop(f"no Slack channel is set: set slack.channels.{owed.route} to a channel id")
        yield from first
        for channel in dict.fromkeys(channels):
            yield channel, None

    def _pace(self, channel: str) -> None:
        if channel in self._last:
            passed = (self._clock() - self._last[channel]).total_seconds()
            if 0 <= passed < PACE:
                self._sleep(PACE - passed)
        self._last[channel] = self._clock()

    def _addressed(self, payload: Payload, thread: Where | None) -> Payload:
        """The payload with the address of the thread, where it wants one."""
        text = json.dumps(payload)
        if THREAD_ADDRESS not in text or thread is None:
            return payload
        channel, ts = thread
        try:
            address = self._slack.call("chat_getPermalink", channel=channel, message_ts=ts)["permalink"]
        except (Refused, Unclear):
            address = f"https://slack.com/archives/{channel}/p{ts.replace('.', '')}"
        addressed: Payload = json.loads(text.replace(THREAD_ADDRESS, json.dumps(address)[1:-1]))
        return addressed

    # --- look for what may be there -------------------------------------------------------------------------

    def _found(self, owed: Owed, thread: Where | None) -> Where | None:
        """Where the message is that an earlier attempt may have posted."""
        channel, since = owed.tried_channel, owed.in_doubt_since
        if channel is None or since is None:
            return None
        thread_ts = thread[1] if owed.place.needs_thread and thread and thread[0] == channel else None
        return self._look(owed, channel, thread_ts, since)

    def _look(self, owed: Owed, channel: str, thread_ts: str | None, since: datetime) -> Where | None:
        """Look in the thread, and in the channel, where it may have gone instead.

        :raises Unclear: when Slack could not be asked; sending now might send twice.
        """
        oldest = f"{(since - MARGIN).timestamp():.6f}"
        if thread_ts and (ts := self._search(owed, "conversations_replies", channel, oldest, ts=thread_ts)):
            return channel, ts
        ts = self._search(owed, "conversations_history", channel, oldest)
        return (channel, ts) if ts else None

    def _search(self, owed: Owed, method: str, channel: str, oldest: str, **more: str) -> str | None:
        cursor = ""
        for _ in range(PAGES):
            try:
                page = self._slack.call(
                    method,
                    channel=channel,
                    oldest=oldest,
                    include_all_metadata=True,
                    limit=200,
                    **({"cursor": cursor} if cursor else {}),
                    **more,
                )
            except Refused as refusal:
                log.warning(
                    "Whether Slack has %s cannot be looked up (%s)", owed.dedupe_key, refusal.sentence
                )
                return None
            for message in page["messages"]:
                if _is_it(message, owed, self._name(owed)):
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                break
        return None

    def _name(self, owed: Owed) -> dict[str, str]:
        """By what a message is found again; another target may owe one of the same key to the same channel."""
        target = self._settings.target
        return {"key": owed.dedupe_key, **({"target": target} if target else {})}

    # --- the root message -----------------------------------------------------------------------------------

    def _update_root(self, owed: Owed, thread: Where | None, root: Payload | None) -> None:
        """Change the first message of the thread; one that cannot be changed is let be.

        :raises Unclear: when it is not known whether it changed; it is changed again later.
        """
        if root is None or thread is None:
            return
        for form in (root, {"text": root["text"]}):
            try:
                self._slack.call("chat_update", channel=thread[0], ts=thread[1], **form)
            except Refused as refusal:
                if refusal.code in _TOO_FANCY and form is root:
                    continue
                log.warning("The first message of %s cannot be changed: %s", owed.dedupe_key, refusal.code)
            except (Unclear, Stop) as problem:
                self._outbox.unclear(owed, problem.sentence)
                raise
            return


def _is_it(message: Mapping[str, Any], owed: Owed, name: Mapping[str, str]) -> bool:
    """Whether Slack's message is the one that is owed: by its metadata, or by the file that it shares."""
    if owed.file:
        return any(shared["id"] == owed.file.slack_id for shared in message.get("files", ()))
    metadata = message.get("metadata", {})
    ours: bool = metadata.get("event_type") == EVENT_TYPE
    return ours and bool(metadata.get("event_payload") == name)


def _with_remark(payload: Payload, refusals: list[str]) -> Mapping[str, Any]:
    """The payload with a line about why it is here."""
    remark = f"This is here because Slack refused its place ({refusals[0]})."
    block = {"type": "context", "elements": [{"type": "mrkdwn", "text": remark}]}
    return {"text": f"{remark}\n{payload['text']}", "blocks": [block, *payload["blocks"][:49]]}


def _mend_channel(refusals: list[str]) -> str:
    tried = ", ".join(dict.fromkeys(r.removeprefix("meant for <#").replace(">:", "") for r in refusals))
    return f"no channel takes the message ({tried}): write `/invite @` with the app's name there, or correct slack.channels"
