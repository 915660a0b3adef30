# SPDX-License-Identifier: MIT
"""Files on their way to Slack: uploaded once, shared once, whatever breaks between. Real store, real HTTP."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from demo.slack import CHANNELS, StandInSlack
from demo.slack.workspace import SCOPES, TOKEN
from processing_time.delivery import DeliveryError
from processing_time.outbox import File, Notification, Place
from tests.integration.own_schema import fresh
from tests.integration.test_delivery import Bench, note, rows

REPORTS = CHANNELS["reports"]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
UPLOAD, SHARE = "files.getUploadURLExternal", "files.completeUploadExternal"


@pytest.fixture
def bench(mariadb: Any, slack: StandInSlack) -> Iterator[Bench]:
    made = Bench(fresh(mariadb), slack)
    yield made
    made.store.close()


def chart(place: Place = Place.CHANNEL, **more: Any) -> Notification:
    file = File("week.png", "The week by day", PNG, alt="99 % on each day")
    return Notification("report", "report/chart", "reports", {}, place, file=file, **more)


def report() -> Notification:
    return note("the report", route="reports", key="report")


def shared(bench: Bench) -> list[dict[str, Any]]:
    return [m for m in bench.slack.messages() if m.get("files")]


def test_a_file_arrives_with_its_bytes_and_its_words(bench: Bench) -> None:
    bench.store.outbox.add([chart()], bench.clock())
    assert bench.deliver() == 1
    (message,) = shared(bench)
    (file,) = message["files"]
    assert (message["channel"], file["title"], file["alt_txt"]) == (
        REPORTS,
        "The week by day",
        "99 % on each day",
    )
    with urllib.request.urlopen(f"{bench.slack.page_url}files/{file['id']}", timeout=5) as response:
        assert (response.headers["content-type"], response.read()) == ("image/png", PNG)
    with urllib.request.urlopen(bench.slack.page_url, timeout=5) as response:
        assert f'<img src="/files/{file["id"]}" alt="99 % on each day">' in response.read().decode()
    assert bench.deliver() == 0


def test_a_report_has_a_thread_of_its_own(bench: Bench) -> None:
    details = note("details", Place.THREAD, route="reports", key="report/details", thread="report")
    bench.store.outbox.add([report(), chart(Place.THREAD, thread="report"), details], bench.clock())
    assert bench.deliver() == 3
    first, picture, text = bench.slack.messages()
    assert picture["thread_ts"] == text["thread_ts"] == first["ts"]


def test_replies_wait_while_their_report_is_refused(bench: Bench) -> None:
    details = note("details", Place.THREAD, route="reports", key="report/details", thread="report")
    bench.store.outbox.add([report(), details], bench.clock())
    bench.slack.fail("chat.postMessage", "ok_false", error="invalid_arguments")
    with pytest.raises(DeliveryError, match=r"^2 of 2 messages are still owed to Slack: Slack refuses"):
        bench.deliver()
    assert bench.deliver() == 2


def test_owed_twice_is_sent_once(bench: Bench) -> None:
    bench.store.outbox.add([chart()], bench.clock())
    bench.store.outbox.add([chart()], bench.clock())
    bench.deliver()
    bench.store.outbox.add([chart()], bench.clock())
    bench.deliver()
    assert len(shared(bench)) == 1


@pytest.mark.parametrize("kind", ["accept_then_500", "accept_then_drop"])
def test_a_file_whose_answer_was_lost_is_found_and_not_shared_again(bench: Bench, kind: str) -> None:
    bench.store.outbox.add([chart()], bench.clock())
    bench.slack.fail(SHARE, kind)
    assert bench.deliver() == 1
    assert len(shared(bench)) == 1


@pytest.mark.parametrize("kind", ["500", "drop"])
def test_a_file_that_did_not_get_there_is_shared_again(bench: Bench, kind: str) -> None:
    bench.store.outbox.add([chart()], bench.clock())
    bench.slack.fail(SHARE, kind)
    assert bench.deliver() == 1
    assert len(shared(bench)) == 1
    assert len(bench.slack.calls(UPLOAD)) == 1, "the bytes were there already"


def test_a_later_round_goes_on_with_the_bytes_that_are_there(bench: Bench) -> None:
    bench.store.outbox.add([chart()], bench.clock())
    bench.slack.fail(SHARE, "accept_then_500")
    bench.slack.fail("conversations.history", "500", times=1)
    with pytest.raises(DeliveryError):
        bench.deliver()
    assert bench.deliver() == 1
    assert len(shared(bench)) == 1
    assert len(bench.slack.calls(UPLOAD)) == 1


def test_bytes_that_slack_has_lost_are_brought_anew(bench: Bench) -> None:
    bench.store.outbox.add([chart()], bench.clock())
    bench.slack.fail(SHARE, "ok_false", error="file_not_found")
    with pytest.raises(DeliveryError, match="file_not_found"):
        bench.deliver()
    assert bench.deliver() == 1
    assert len(bench.slack.calls(UPLOAD)) == 2


def test_without_the_scope_the_text_arrives_and_the_sentence_names_it(bench: Bench) -> None:
    scopes = [s for s in SCOPES if s != "files:write"]
    bench.slack.update(tokens={TOKEN: {"scopes": scopes}})
    bench.store.outbox.add([chart(), report()], bench.clock())
    with pytest.raises(DeliveryError, match="lacks the scope files:write"):
        bench.deliver()
    assert [m["text"] for m in bench.slack.messages()] == ["the report"]


def test_a_file_goes_with_its_message_when_that_is_removed(bench: Bench) -> None:
    bench.store.outbox.add([chart()], bench.clock())
    rows_of = lambda: rows(bench.connect, "SELECT dedupe_key FROM notification_files")  # noqa: E731
    assert len(rows_of()) == 1
    bench.store.outbox._session.run(lambda cursor: cursor.execute("DELETE FROM notifications"))
    assert rows_of() == []
