# SPDX-License-Identifier: MIT
"""The stand-in Slack answers slack_sdk as the real one does, and fails on request as the real one may."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from starlette.testclient import TestClient

from demo.slack import CHANNELS, STRANGE_CHANNELS, TOKEN, StandInSlack
from demo.slack.server import SlackServer
from demo.slack.workspace import Workspace

HIGH = CHANNELS["high"]


@pytest.fixture
def client(slack: StandInSlack) -> WebClient:
    return WebClient(slack.token, base_url=slack.base_url, timeout=5, retry_handlers=[])


def error_of(call: Any, **arguments: Any) -> str:
    """The error code that Slack answers a call with."""
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return str(caught.value.response["error"])


def raw(slack: StandInSlack, method: str, body: bytes, content_type: str, **headers: str) -> bytes:
    request = urllib.request.Request(
        f"{slack.base_url}{method}", data=body, headers={"Content-Type": content_type, **headers}
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        return bytes(response.read())


def test_a_thread_from_post_to_reaction(slack: StandInSlack, client: WebClient) -> None:
    root = client.chat_postMessage(channel=HIGH, text="root", metadata=metadata("a"))
    reply = client.chat_postMessage(channel=HIGH, text="reply", thread_ts=root["ts"])
    shout = client.chat_postMessage(channel=HIGH, text="shout", thread_ts=root["ts"], reply_broadcast=True)
    assert float(root["ts"]) < float(reply["ts"]) < float(shout["ts"])

    history = client.conversations_history(channel=HIGH)["messages"]
    assert [message["text"] for message in history] == ["shout", "root"]
    assert history[1]["reply_count"] == 2
    replies = client.conversations_replies(channel=HIGH, ts=root["ts"])["messages"]
    assert [message["text"] for message in replies] == ["root", "reply", "shout"]

    slack.react(HIGH, root["ts"], "eyes", "U0ANNA00001")
    message = client.reactions_get(channel=HIGH, timestamp=root["ts"])["message"]
    assert message["reactions"] == [{"name": "eyes", "users": ["U0ANNA00001"], "count": 1}]
    assert client.users_info(user="U0ANNA00001")["user"]["is_bot"] is False
    assert client.users_info(user="U0DEPLOY001")["user"]["is_bot"] is True


def metadata(key: str) -> dict[str, Any]:
    return {"event_type": "processing_time", "event_payload": {"key": key}}


def test_metadata_comes_back_only_when_asked_for(client: WebClient) -> None:
    client.chat_postMessage(channel=HIGH, text="x", metadata=metadata("k1"))
    plain = client.conversations_history(channel=HIGH)["messages"][0]
    full = client.conversations_history(channel=HIGH, include_all_metadata=True)["messages"][0]
    assert plain["metadata"] == {"event_type": "processing_time"}
    assert full["metadata"]["event_payload"] == {"key": "k1"}


def test_history_by_time_and_by_page(client: WebClient) -> None:
    ts = [client.chat_postMessage(channel=HIGH, text=str(number))["ts"] for number in range(5)]

    def texts(**arguments: Any) -> list[str]:
        answer = client.conversations_history(channel=HIGH, **arguments)
        return [message["text"] for message in answer["messages"]]

    assert texts(oldest=ts[1], latest=ts[3]) == ["2"]
    assert texts(oldest=ts[1], latest=ts[3], inclusive=True) == ["3", "2", "1"]
    first = client.conversations_history(channel=HIGH, limit=3)
    assert first["has_more"]
    rest = texts(limit=3, cursor=first["response_metadata"]["next_cursor"])
    assert [m["text"] for m in first["messages"]] + rest == ["4", "3", "2", "1", "0"]


def test_update_replaces_text_and_drops_blocks(client: WebClient) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "old"}}
    ts = client.chat_postMessage(channel=HIGH, text="old", blocks=[block], metadata=metadata("k"))["ts"]
    client.chat_update(channel=HIGH, ts=ts, text="new")
    message = client.conversations_history(channel=HIGH, include_all_metadata=True)["messages"][0]
    assert message["text"] == "new"
    assert "blocks" not in message
    assert message["metadata"]["event_payload"] == {"key": "k"}
    assert message["edited"]["user"] == "U0MONITOR01"
    assert error_of(client.chat_update, channel=HIGH, ts=ts, text="x" * 4001) == "msg_too_long"
    assert error_of(client.chat_update, channel=HIGH, ts="1.000000", text="x") == "message_not_found"


def test_what_slack_refuses(slack: StandInSlack, client: WebClient) -> None:
    post = client.chat_postMessage
    assert error_of(client.api_call, api_method="chat.postMessage", json={"channel": HIGH}) == "no_text"
    assert error_of(post, channel=HIGH, text="x" * 40_001) == "msg_too_long"
    assert error_of(post, channel="C0NOWHERE00", text="x") == "channel_not_found"
    assert error_of(post, channel="#booking-alerts", text="x") == "channel_not_found"
    assert error_of(post, channel=STRANGE_CHANNELS["secret"], text="x") == "channel_not_found"
    assert error_of(post, channel=STRANGE_CHANNELS["uninvited"], text="x") == "not_in_channel"
    assert error_of(post, channel=STRANGE_CHANNELS["archived"], text="x") == "is_archived"
    assert error_of(post, channel=HIGH, text="x", thread_ts="1.000000") == "thread_not_found"
    assert error_of(post, channel=HIGH, text="x", metadata={"event_type": 1}) == "invalid_metadata_schema"
    assert error_of(post, channel=HIGH, text="x", blocks="{") == "invalid_blocks_format"
    sections = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2_900}}] * 5
    assert error_of(post, channel=HIGH, text="x", blocks=sections) == "msg_blocks_too_long"
    assert error_of(client.api_call, api_method="chat.nonsense") == "unknown_method"
    assert slack.messages() == []


def test_invalid_blocks_say_where(client: WebClient) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=HIGH, text="x", blocks=[block])
    assert caught.value.response["error"] == "invalid_blocks"
    assert caught.value.response["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    ]


def test_tokens_and_scopes(slack: StandInSlack, client: WebClient) -> None:
    assert error_of(WebClient("", base_url=slack.base_url).auth_test) == "not_authed"
    assert error_of(WebClient("xoxb-wrong", base_url=slack.base_url).auth_test) == "invalid_auth"
    assert "reactions:read" in client.auth_test().headers["x-oauth-scopes"]
    slack.update(tokens={slack.token: {"scopes": ["chat:write"]}})
    with pytest.raises(SlackApiError) as caught:
        client.conversations_history(channel=HIGH)
    assert caught.value.response["error"] == "missing_scope"
    assert caught.value.response["needed"] == "channels:history"
    assert caught.value.response["provided"] == "chat:write"


def test_form_only_methods_ignore_json(slack: StandInSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=HIGH, text="x")["ts"]
    token = {"Authorization": f"Bearer {slack.token}"}
    body = f'{{"channel": "{HIGH}", "ts": "{ts}"}}'.encode()
    assert b"invalid_arguments" in raw(slack, "conversations.replies", body, "application/json", **token)
    form = urllib.parse.urlencode({"channel": HIGH, "ts": ts, "token": slack.token}).encode()
    kind = "application/x-www-form-urlencoded"
    assert b'"ok":true' in raw(slack, "conversations.replies", form, kind)


def test_no_token_is_kept_in_the_calls(slack: StandInSlack, client: WebClient) -> None:
    client.chat_postMessage(channel=HIGH, text="x")
    form = urllib.parse.urlencode({"channel": HIGH, "text": "y", "token": slack.token}).encode()
    raw(slack, "chat.postMessage", form, "application/x-www-form-urlencoded")
    calls = slack.calls("chat.postMessage")
    assert [call["arguments"]["text"] for call in calls] == ["x", "y"]
    assert slack.token not in str(calls)


def test_one_message_a_second_when_strict(slack: StandInSlack, client: WebClient) -> None:
    slack.update(enforce_rate=True)
    client.chat_postMessage(channel=HIGH, text="x")
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=HIGH, text="y")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "1"
    client.chat_postMessage(channel=CHANNELS["info"], text="another channel")


@pytest.mark.parametrize(
    ("kind", "accepted", "seen"),
    [
        ("429", False, SlackApiError),
        ("500", False, SlackApiError),
        ("ok_false", False, SlackApiError),
        ("drop", False, http.client.RemoteDisconnected),
        ("hang", False, TimeoutError),
        ("accept_then_500", True, SlackApiError),
        ("accept_then_drop", True, http.client.RemoteDisconnected),
        ("accept_then_hang", True, TimeoutError),
    ],
)
def test_faults(slack: StandInSlack, kind: str, accepted: bool, seen: type[Exception]) -> None:
    client = WebClient(slack.token, base_url=slack.base_url, timeout=1, retry_handlers=[])
    slack.fail("chat.postMessage", kind, retry_after=7, error="fatal_error")
    with pytest.raises(seen) as caught:
        client.chat_postMessage(channel=HIGH, text="first")
    if kind == "429":
        assert isinstance(caught.value, SlackApiError)
        assert caught.value.response.headers["Retry-After"] == "7"
    assert [message["text"] for message in slack.messages()] == (["first"] if accepted else [])
    client.chat_postMessage(channel=HIGH, text="second")
    assert slack.messages()[-1]["text"] == "second"


def test_files_are_uploaded_in_three_steps(slack: StandInSlack, client: WebClient) -> None:
    client.files_upload_v2(channel=CHANNELS["reports"], content="a,b", filename="week.csv", title="Week")
    (message,) = slack.messages(CHANNELS["reports"])
    assert [(file["title"], file["size"]) for file in message["files"]] == [("Week", 3)]
    wrong = {"files": [{"id": "F9"}], "channel_id": CHANNELS["reports"]}
    assert error_of(client.files_completeUploadExternal, **wrong) == "file_not_found"


def test_links_lead_to_where_people_are_and_uploads_to_where_the_caller_is() -> None:
    """In a container they reach it under different names."""
    calls = TestClient(
        SlackServer(Workspace(), site="http://localhost:8090/").application(),
        base_url="http://demo-slack:8090",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    ts = calls.post("/api/chat.postMessage", json={"channel": HIGH, "text": "root"}).json()["ts"]
    link = calls.get("/api/chat.getPermalink", params={"channel": HIGH, "message_ts": ts}).json()["permalink"]
    upload = calls.post("/api/files.getUploadURLExternal", data={"filename": "a.png", "length": "1"}).json()[
        "upload_url"
    ]
    assert link == f"http://localhost:8090/archives/{HIGH}/p{ts.replace('.', '')}"
    assert upload.startswith("http://demo-slack:8090/upload/")


def test_permalinks_lead_to_the_thread(slack: StandInSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=HIGH, text="the root")["ts"]
    link = client.chat_getPermalink(channel=HIGH, message_ts=ts)["permalink"]
    with urllib.request.urlopen(link, timeout=5) as response:
        assert f"thread={ts}" in response.url
        assert "the root" in response.read().decode()


def test_a_restart_keeps_messages_and_a_stop_refuses_connections(tmp_path: Path) -> None:
    with StandInSlack(tmp_path) as slack:
        client = WebClient(slack.token, base_url=slack.base_url, retry_handlers=[])
        ts = client.chat_postMessage(channel=HIGH, text="before")["ts"]
        slack.kill()
        with pytest.raises(urllib.error.URLError):
            client.chat_postMessage(channel=HIGH, text="lost")
        slack.start()
        client.chat_postMessage(channel=HIGH, text="after", thread_ts=ts)
        assert [message["text"] for message in slack.thread(HIGH, ts)] == ["before", "after"]
        slack.reset()
        assert slack.messages() == []
