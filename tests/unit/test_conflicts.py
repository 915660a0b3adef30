# SPDX-License-Identifier: MIT
"""Collisions of bookings against comparing each with each; the report by company, service and day."""

from __future__ import annotations

from datetime import date
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from processing_time.incident.conflicts import Booking, collisions, conflicts, partners, report

DAY = date(2026, 6, 11)


def booking(id_: int, whole: tuple[int, int], *busy: tuple[int, int], staff: str = "anna", **more) -> Booking:
    more = {"company_id": 1, "service_id": 7, "day": DAY, **more}
    return Booking(id=id_, staff_id=staff, whole=whole, busy=busy or (whole,), **more)


@st.composite
def a_booking(draw, id_: int) -> Booking:
    """Split into up to three parts of which some need somebody."""
    cuts = sorted(draw(st.lists(st.integers(0, 20), min_size=2, max_size=4)))
    spans = list(pairwise(cuts))
    busy = tuple(span for span in spans if draw(st.booleans()))
    return Booking(id_, 1, 7, draw(st.sampled_from("ab")), DAY, (cuts[0], cuts[-1]), busy)


bookings = st.integers(0, 7).flatmap(lambda n: st.tuples(*(a_booking(id_) for id_ in range(n))))


@given(bookings)
def test_collisions_are_those_of_comparing_each_with_each(made):
    found = {frozenset(pair) for pair in collisions(made)}
    expected = {
        frozenset((one.id, other.id))
        for one, other in combinations(made, 2)
        if one.staff_id == other.staff_id
        and any(max(a, c) < min(b, d) for a, b in one.busy for c, d in other.busy)
    }
    assert found == expected


@given(bookings, st.sets(st.integers(0, 7)))
def test_conflicts_are_new_and_of_those_that_become_regular(made, regular):
    by_id = {b.id: b for b in made}
    found = conflicts(by_id, regular)
    before = {frozenset(pair) for pair in collisions(made)}
    assert all(frozenset(pair) not in before and regular & set(pair) for pair in found)
    assert all(by_id[one].whole[0] <= by_id[other].whole[0] for one, other in found)
    after = {frozenset(p) for p in collisions(b.regular if b.id in regular else b for b in made)}
    assert {frozenset(pair) for pair in found} == after - before
    assert conflicts(by_id, set()) == []


def test_touching_is_not_colliding_and_nobody_collides_with_oneself():
    assert collisions([booking(1, (0, 10)), booking(2, (10, 20)), booking(2, (10, 20))]) == set()
    assert collisions([booking(1, (0, 10)), booking(2, (9, 20), staff="ben")]) == set()
    assert collisions([booking(2, (9, 20)), booking(1, (0, 10))]) == {(1, 2)}


def test_two_that_both_become_regular():
    outer = booking(1, (0, 60), (0, 20), (40, 60))
    inner = booking(2, (20, 80), (20, 30), (70, 80))
    both = {1: outer, 2: inner}
    assert collisions(both.values()) == set()
    assert conflicts(both, {1}) == conflicts(both, {1, 2}) == [(1, 2)]
    assert conflicts(both, {2}) == [(1, 2)]
    assert partners([(1, 2)]) == {1: {2}, 2: {1}}


def test_the_report_counts_bookings_by_company_service_and_day_and_cuts_lists_of_ids():
    made = [
        booking(1, (0, 90), (0, 10)),
        booking(2, (20, 30)),
        booking(3, (30, 40)),
        booking(4, (40, 50)),
        booking(5, (0, 90), (0, 10), staff="ben", service_id=8, company_id=2),
        booking(6, (20, 30), staff="ben"),
    ]
    by_id = {b.id: b for b in made}
    assert report(conflicts(by_id, {1, 5}), by_id, shown=2) == [
        "company 1, service 7, 2026-06-11: 3 bookings (2 in 1, 3 in 1 and 1 more)",
        "company 2, service 8, 2026-06-11: 1 booking (6 in 5)",
    ]
