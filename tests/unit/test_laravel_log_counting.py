# SPDX-License-Identifier: MIT
"""How records are asked and counted: any patterns against a plain evaluation, tallies that are added, what they hold."""

from __future__ import annotations

import json
import pickle
import re
from array import array
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from processing_time import settings as configuration
from processing_time.sources.laravel_log import records
from processing_time.sources.laravel_log.asked import Asked
from processing_time.sources.laravel_log.matching import Finder, Group, Mark, Memo
from processing_time.sources.laravel_log.scanning import Plan, Tally
from processing_time.timeline import Timeline

PATTERNS = [
    "a", "b c", "failed", "ä", "regex:^a", "regex:c$", "regex:b.*c", "regex:(?:a|ä) b", r"regex:\bd", r"regex:c\b",
]  # fmt: skip
VALUES = [r"n=([0-9]+)", r"n=(7|1[0-9])", r"\[0-9\]=(\d)", r"n=(\d)(?:\d|\b)", r"ä n=(\d*)"]

patterns = st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple)
marks_made = st.builds(
    Mark, st.just("made"), patterns.filter(bool), patterns, st.sampled_from([None, *VALUES])
)
words = st.lists(
    st.sampled_from(["a", "b", "c", "d", "ä", "failed", "n=7", "n=12", "n=57", "n=", "ca", "bd"]), max_size=6
)
messages = words.map(" ".join)
contexts = st.one_of(
    st.just(""), words.map(lambda w: " " + json.dumps({"k": " ".join(w)}, ensure_ascii=False))
)


def plainly(mark: Mark, message: str, text: str) -> float | bool:
    """Whether a record bears a mark, with Python's own means; a number where the mark has one."""

    def holds(pattern: str, where: str) -> bool:
        regex = pattern.removeprefix("regex:")
        return pattern in where if regex == pattern else re.search(regex, where, re.ASCII) is not None

    found = re.search(mark.value, text) if mark.value else None
    bears = all(holds(p, text) for p in mark.all_of)
    bears &= not mark.message_any_of or any(holds(p, message) for p in mark.message_any_of)
    if mark.value:
        return float(found[1]) if bears and found and found[1] else False
    return bears


said = st.lists(st.tuples(messages, contexts), min_size=1, max_size=4)


@given(marks=st.lists(marks_made, min_size=1, max_size=4), said=said)
@examples(max_examples=300)
@example(
    marks=[Mark("", ("a",), ("regex:c$",))], said=[("a c", ' {"k": "d"}')]
)  # the message's end is not the text's
@example(marks=[Mark("", ("regex:c$",))], said=[("a c", ' {"k": "d"}')])
@example(marks=[Mark("", ("a",), ("failed",))], said=[("a", ' {"k": "failed"}')])
@example(marks=[Mark("", ("ä", "regex:(?:a|ä) b"), (), VALUES[0])], said=[("ä b n=7", "")])
@example(
    marks=[Mark("", ("a",), (), value) for value in VALUES], said=[(f"a ä n={n}", "") for n in range(20)]
)
@example(marks=[Mark("", ("a",), (), VALUES[2])], said=[("a [0-8]=5", ""), ("a [0-9]=5", "")])
def test_any_marks_are_found_as_a_plain_evaluation_finds_them(
    marks: list[Mark], said: list[tuple[str, str]]
) -> None:
    group = Group(marks, range(len(marks)))
    texts = [message + context for message, context in said]
    latin = [str(text.encode(), "latin-1") for text in texts]
    answers = group.answers(["INFO"] * len(texts), latin)
    for answer, text, (message, _), raw in zip(answers, texts, said, latin, strict=True):
        got: dict[int, float | bool] = dict.fromkeys(answer.certain, True)
        for question in answer.questions:
            bears, number = group.settle(question, raw)
            got[question.mark] = bears if number is None else number
        assert {i: got.get(i, False) for i in range(len(marks))} == {
            i: plainly(mark, message, text) for i, mark in enumerate(marks)
        }


def test_each_mark_is_in_one_group_and_counts_once_a_line() -> None:
    marks = [
        Mark("", ("Failed",)),
        Mark("", ("Failed", "now")),
        Mark("", ("x", "Failed now")),
        Mark("", critical=True),
    ]
    finder = Finder(marks, every_record=False)
    assert sorted(i for group in finder.groups for i in group) == [0, 1, 2, 3]
    page = b"[..] local.CRITICAL: x Failed now, Failed again\nno.ALERT\n"
    assert all(finder.places(page))
    assert all(places == sorted(places) for places in finder.places(page))


def test_marks_that_share_a_text_are_looked_for_once() -> None:
    """A line is then taken once for all of them; a text of a few letters is worth it only if it is shared."""
    marks = [
        Mark("", ("week_availability", ":pt_")),
        Mark("", (":pt_", "Cal.com API response received")),
        Mark("", ("Observer: Failed",)),
        Mark("", ("Observer:", "regex:a|b")),
        Mark("", ("regex:job.*Processing Time",)),
        Mark("", ("id", "ok")),
    ]
    finder = Finder(marks, every_record=False)
    assert sorted(finder.groups) == [[0, 1], [2, 3], [4], [5]]
    page = b"week_availability :pt_1\nCal.com API response received\nObserver: Failed\njob\nProcessing Time\nid\n"
    found = dict(zip(map(tuple, finder.groups), finder.places(page), strict=True))
    lines = {group: [page.count(b"\n", 0, place) for place in places] for group, places in found.items()}
    assert lines == {(0, 1): [0], (2, 3): [2], (4,): [4], (5,): [5]}


# --- tallies ---


def plan(seconds: int = 100) -> Plan:
    return Plan((Mark("", ("x",)),), "UTC", 0, seconds, edges=(0, 50), series_from=(10,), numbers_from=0)


@given(times=st.lists(st.integers(0, 99), max_size=50), cut=st.integers(0, 50))
@examples(max_examples=50)
def test_two_tallies_added_are_one(times: list[int], cut: int) -> None:
    whole, ours, theirs = (Tally(plan(), 10) for _ in range(3))
    whole.note(list(times))
    ours.note(times[:cut])
    theirs.note(times[cut:])
    ours.add(pickle.loads(pickle.dumps(theirs)))
    assert (ours.since, ours.newest, ours.series) == (whole.since, whole.newest, whole.series)
    assert whole.since == [len(times), sum(t >= 50 for t in times)]
    assert whole.series == array("H", (times.count(second) for second in range(10, 100)))


def test_a_second_with_more_records_than_fit_does_not_run_into_the_next() -> None:
    ours, theirs = Tally(plan(), 10), Tally(plan(), 10)
    ours.note([20] * 70_000)
    theirs.note([20] * 70_000 + [21])
    ours.add(theirs)
    assert ours.since == [140_001, 0]
    assert ours.series[20 - 10] >= 65_000
    assert ours.series[21 - 10] == 1


def test_a_fortnight_s_tallies_are_small_whatever_is_asked_for() -> None:
    """Only rules with a sliding window count each second, in two bytes; the way between processes is shorter still."""
    settings = configuration.load()
    as_of = datetime(2026, 3, 10, 11, tzinfo=UTC)
    timeline = Timeline(as_of, settings.zone, ZoneInfo("UTC"), as_of - timedelta(days=14))
    asked = Asked(settings, timeline).plan
    tallies = [Tally(asked, first) for first in asked.series_from]
    sliding = [rule for rule in settings.log_rules.values() if rule.within]
    seconds = 14 * 24 * 3600 + 3600
    held = sum(len(tally.series) * tally.series.itemsize for tally in tallies)
    assert 2 * len(sliding) * 14 * 24 * 3600 < held <= 2 * len(sliding) * seconds
    assert len(tallies) > 3 * len(sliding)
    assert len(pickle.dumps(tallies)) < 64 * 1024


def test_what_is_kept_is_bounded_in_number_and_length() -> None:
    asked: list[str] = []

    def length(key: str) -> int:
        asked.append(key)
        return len(key)

    memo = Memo(length, kept=3)
    assert [memo[key] for key in ("a", "b", "a", "x" * 60_000, "x" * 60_000)] == [1, 1, 1, 60_000, 60_000]
    assert asked == ["a", "b", "x" * 60_000, "x" * 60_000]
    for number in range(10):
        assert memo[f"{number}"] == 1
        assert len(memo) <= 3


def test_zeros_that_a_truncation_left_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that does not append leaves a hole as large as the log was; an expression would try each byte of it."""

    class Expression:
        def finditer(self, block: bytes) -> None:
            raise AssertionError("tried")

    monkeypatch.setattr(records, "_HEADER", Expression())
    clock = records.Clock(ZoneInfo("UTC"))
    assert list(records.headers(bytes(1 << 18), clock)) == []
    with pytest.raises(AssertionError, match="tried"):
        list(records.headers(b"\0[", clock))
