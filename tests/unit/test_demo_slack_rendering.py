# SPDX-License-Identifier: MIT
"""The stand-in Slack shows mrkdwn as Slack does, and nothing in a message can become markup of the page."""

from __future__ import annotations

from typing import Any

import pytest

from demo.slack import limits, page
from demo.slack.mrkdwn import plain, to_html, to_text
from demo.slack.workspace import CHANNELS, Workspace
from demo.slack_text import render_thread

NAMES = {"U1": "Anna", "S1": "on-call", "C1": "alerts"}


@pytest.mark.parametrize(
    ("written", "html", "text"),
    [
        pytest.param("*bold* _it_ ~no~", "<b>bold</b> <i>it</i> <s>no</s>", "bold it no", id="emphasis"),
        pytest.param(
            "2*3*4 snake_case_name", "2*3*4 snake_case_name", "2*3*4 snake_case_name", id="inside-words"
        ),
        pytest.param("a\nb", "a<br>\nb", "a\nb", id="line-break"),
        pytest.param("`a *b*`", "<code>a *b*</code>", "a *b*", id="code-is-literal"),
        pytest.param("```x\n*y*```", "<pre>x\n*y*</pre>", "x\n*y*", id="block-is-literal"),
        pytest.param("&lt;b&gt; &amp;amp;", "&lt;b&gt; &amp;amp;", "<b> &amp;", id="entities-once"),
        pytest.param("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;", "<b>x</b>", id="markup-is-text"),
        pytest.param("<script>", "&lt;script&gt;", "<script>", id="script-is-text"),
        pytest.param("<@U1>", '<span class="mention">@Anna</span>', "@Anna", id="person"),
        pytest.param("<!subteam^S1>", '<span class="mention">@on-call</span>', "@on-call", id="group"),
        pytest.param("<!channel>", '<span class="mention loud">@channel</span>', "@channel", id="everybody"),
        pytest.param("&lt;!channel&gt;", "&lt;!channel&gt;", "<!channel>", id="escaped-mention-is-text"),
        pytest.param("<#C1>", '<span class="mention">#alerts</span>', "#alerts", id="channel"),
        pytest.param(
            "*<https://x.example/?a=1&amp;b=2|a &amp; b>*",
            '<b><a href="https://x.example/?a=1&amp;b=2" rel="noreferrer">a &amp; b</a></b>',
            "a & b <https://x.example/?a=1&b=2>",
            id="link-in-bold",
        ),
        pytest.param(
            "<javascript:alert(1)|x>",
            "&lt;javascript:alert(1)|x&gt;",
            "<javascript:alert(1)|x>",
            id="no-script-link",
        ),
        pytest.param(
            'https://x.example/"onmouseover=1',
            "https://x.example/&quot;onmouseover=1",
            'https://x.example/"onmouseover=1',
            id="quotes",
        ),
        pytest.param("&gt; quoted\nnot", "<blockquote>quoted</blockquote>not", "│ quoted\nnot", id="quote"),
        pytest.param(":eyes: :unheard_of:", "👀 :unheard_of:", "👀 :unheard_of:", id="emoji"),
        pytest.param("10:30:45", "10:30:45", "10:30:45", id="time-is-no-emoji"),
        pytest.param("\ue0000\ue001", "0", "0", id="private-characters"),
    ],
)
def test_mrkdwn(written: str, html: str, text: str) -> None:
    assert to_html(written, NAMES) == html
    assert to_text(written, NAMES) == text


def test_plain_text_has_no_markup() -> None:
    assert plain("*A* &amp; <b> :eyes:") == "*A* & <b> 👀"


def _message(ts: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "user": "U0MONITOR01", "bot_id": "B0MONITOR01", "ts": ts, "text": "", **more}


def test_the_page_shows_a_thread_and_escapes_everything_in_it() -> None:
    workspace = Workspace()
    channel = CHANNELS["high"]
    hostile = "<img src=x onerror=alert(1)>"
    workspace.in_channel(channel).extend(
        [
            _message(
                "1700000000.000100",
                blocks=[
                    {"type": "header", "text": {"type": "plain_text", "text": hostile}},
                    {
                        "type": "actions",
                        "elements": [
                            {
                                "type": "button",
                                "text": {"type": "plain_text", "text": "Go"},
                                "url": 'https://x.example/">',
                            }
                        ],
                    },
                ],
            ),
            _message("1700000001.000100", thread_ts="1700000000.000100", text=f"reply {hostile}"),
            _message("1700000002.000100", text="another thread"),
        ]
    )
    shown = page.render(workspace, channel, "1700000000.000100")
    assert "<img src=x" not in shown
    assert 'href="https://x.example/&#34;&gt;"' in shown
    assert "reply &lt;img" in shown
    assert "another thread" not in shown
    assert "another thread" in page.render(workspace)


def test_a_thread_as_text() -> None:
    thread = [
        _message(
            "1700000000.000100",
            blocks=[
                {"type": "header", "text": {"type": "plain_text", "text": "Low rate"}},
                {"type": "section", "text": {"type": "mrkdwn", "text": "*79 %* of <@U1>"}},
                {
                    "type": "context",
                    "elements": [{"type": "mrkdwn", "text": "a"}, {"type": "mrkdwn", "text": "b"}],
                },
                {
                    "type": "section",
                    "fields": [
                        {"type": "mrkdwn", "text": text} for text in ("*Window*\ntoday", "*Level*\n2")
                    ],
                },
            ],
            reactions=[{"name": "eyes", "users": ["U1"], "count": 1}],
        ),
        _message(
            "1700000060.000100", thread_ts="1700000000.000100", text="better now", subtype="thread_broadcast"
        ),
    ]
    # 1,700,000,000 is 23:13:20 in Berlin.
    assert render_thread(thread, {**NAMES, "U0MONITOR01": "Monitor"}) == "\n".join(
        [
            "Monitor  23:13",
            "  Low rate",
            "  ────────",
            "  79 % of @Anna",
            "  a",
            "  b",
            f"  {'Window: today':<44}  Level: 2",
            "  👀 1",
            "",
            "  │ Monitor  23:14 (also sent to the channel)",
            "  │   better now",
            "  │",
        ]
    )


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _button(**more: Any) -> dict[str, Any]:
    return {
        "type": "actions",
        "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Go"}, **more}],
    }


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        ([_section("x" * 3000)], None),
        ([_section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([_section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "section"}], "missing required field: text [json-pointer:/blocks/0]"),
        ([{"type": "divider"}] * 50, None),
        ([{"type": "divider"}] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 150}}], None),
        (
            [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
            "failed to match all allowed schemas [json-pointer:/blocks/0/text]",
        ),
        (
            [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        (
            [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        ),
        (
            [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}],
            "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (
            [{"type": "context", "elements": []}],
            "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (
            [_button(text={"type": "plain_text", "text": "x" * 76})],
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        ([_button(url="/relative")], "invalid url [json-pointer:/blocks/0/elements/0/url]"),
        (
            [_button(url="https://x.example/" + "x" * 3000)],
            "must be less than 3001 characters [json-pointer:/blocks/0/elements/0/url]",
        ),
        (
            [_section("x") | {"block_id": "b" * 256}],
            "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
        ),
        (
            [_section("x") | {"block_id": "b"}] * 2,
            "block_id b already exists [json-pointer:/blocks/1/block_id]",
        ),
        ([{"type": "carousel"}], "unsupported type: carousel [json-pointer:/blocks/0/type]"),
    ],
)
def test_limits_of_blocks(blocks: list[Any], complaint: str | None) -> None:
    assert limits.complaints_about_blocks(blocks) == ([complaint] if complaint else [])


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"event_type": "a", "event_payload": {"key": "v", "n": 1, "o": {"x": True}, "l": [{"x": 1}]}}, None),
        ("text", "invalid_metadata_format"),
        ({"event_type": "a"}, "invalid_metadata_schema"),
        ({"event_type": "", "event_payload": {}}, "invalid_metadata_schema"),
        ({"event_type": "a", "event_payload": {"key": None}}, "invalid_metadata_schema"),
        ({"event_type": "a", "event_payload": {"key": ["plain"]}}, "invalid_metadata_schema"),
        ({"event_type": "a", "event_payload": {"key": "x" * 9000}}, "metadata_too_large"),
    ],
)
def test_limits_of_metadata(metadata: Any, error: str | None) -> None:
    assert limits.metadata_error(metadata) == error
