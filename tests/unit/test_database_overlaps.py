# SPDX-License-Identifier: MIT
"""Matching bookings with processing phases, and the cheapest way to the bookings, held against plain reckoning."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processing_time.sources import overlaps
from processing_time.sources.overlaps import BLOCK, GAP, LOOKUP, STRETCHES, cheapest

moments = st.integers(0, 60)
phases = st.lists(
    st.tuples(st.sampled_from("ab"), moments, moments, st.integers(1, 20), st.sampled_from([1, 2, None])),
    max_size=12,
)
bookings = st.lists(st.tuples(st.integers(1, 40), st.sampled_from("abc"), moments), max_size=25)


def kept(given_phases: list[tuple[str, int, int, int, int | None]]) -> overlaps._Phases:
    collection = overlaps._Phases()
    for staff, starts, ends, appointment, company in given_phases:
        collection.add(staff, starts, ends, appointment, company)
    return collection


@given(phases, bookings)
def test_matching_is_what_comparing_each_with_each_gives(
    some: list[tuple[str, int, int, int, int | None]], booked: list[tuple[int, str, int]]
) -> None:
    expected: dict[int, set[int | None]] = {}
    for id_, staff, at in booked:
        for their_staff, starts, ends, appointment, company in some:
            if staff == their_staff and starts <= at < ends and id_ != appointment:
                expected.setdefault(id_, set()).add(company)
    assert kept(some).match(booked) == expected


@given(st.lists(st.tuples(st.integers(0, 400 * GAP), st.integers(1, 3 * GAP)), min_size=1, max_size=120))
def test_stretches_hold_every_phase_and_no_long_gap(some: list[tuple[int, int]]) -> None:
    found = kept([("a", starts, starts + length, 1, 1) for starts, length in some]).stretches()
    assert len(found) <= STRETCHES
    for starts, length in some:
        assert any(low <= starts and starts + length <= high for low, high in found)
    for (_, end), (start, _) in pairwise(found):
        assert start - end > GAP
    covered = {edge for stretch in found for edge in stretch}
    assert covered <= {edge for starts, length in some for edge in (starts, starts + length)}


def test_no_phase_no_stretch() -> None:
    assert kept([]).stretches() == []
    assert kept([("a", 5, 5, 1, 1)]).stretches() == []


@given(st.dictionaries(st.integers(0, 60), st.integers(1, BLOCK), max_size=40))
def test_the_cheapest_way_is_the_cheapest_of_all(counts: dict[int, int]) -> None:
    blocks = list(counts.items())
    first, until = cheapest(blocks)
    if not blocks:
        assert (first, until) == (0, 0)
        return
    assert until == (max(counts) + 1) * BLOCK
    assert first <= until

    def cost(split: int) -> int:
        return LOOKUP * sum(n for b, n in blocks if b * BLOCK < split) + until - split

    assert cost(first) == min(cost(b * BLOCK) for b in range(min(counts), max(counts) + 2))
