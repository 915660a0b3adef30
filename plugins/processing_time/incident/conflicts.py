# SPDX-License-Identifier: MIT
"""Which bookings collide when the staff of an appointment is busy for the whole time, and which collide already.

Pure functions over stretches of time in seconds; whoever reads the bookings says from when the seconds count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby

Span = tuple[int, int]
"""From (inclusive), to (exclusive)."""
Pair = tuple[int, int]
"""Ids of two bookings of one person that collide: the one that starts first, then the other."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking as far as it keeps somebody busy.

    :param day: the day on which it starts, as people read it.
    :param whole: from its start to its end.
    :param busy: when the member of staff is needed: all of it, or the phases that need somebody.
    """

    id: int
    company_id: int | None
    service_id: int | str | None
    staff_id: str
    day: date
    whole: Span
    busy: tuple[Span, ...]

    @property
    def regular(self) -> Booking:
        """The same booking without a gap."""
        return replace(self, busy=(self.whole,))


def collisions(bookings: Iterable[Booking]) -> set[Pair]:
    """The pairs of bookings that need the same person at the same time."""
    by_staff: dict[str, list[tuple[Span, Booking]]] = defaultdict(list)
    for booking in bookings:
        by_staff[booking.staff_id] += [(span, booking) for span in booking.busy if span[1] > span[0]]
    found: set[Pair] = set()
    for spans in by_staff.values():
        lasting: list[tuple[Span, Booking]] = []
        for span, booking in sorted(spans, key=lambda s: (s[0], s[1].id)):
            lasting = [other for other in lasting if other[0][1] > span[0]]
            found |= {_ordered(other, booking) for _, other in lasting if other.id != booking.id}
            lasting.append((span, booking))
    return found


def conflicts(bookings: Mapping[int, Booking], regular: Set[int]) -> list[Pair]:
    """The pairs that collide once these appointments are regular ones, and do not now; in order."""
    after = [b.regular if b.id in regular else b for b in bookings.values()]
    new = collisions(after) - collisions(bookings.values())
    return sorted(new, key=lambda pair: (bookings[pair[1]].whole, pair))


def partners(pairs: Iterable[Pair]) -> dict[int, frozenset[int]]:
    """By booking, the others that it collides with."""
    found: dict[int, set[int]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
        found[other].add(one)
    return {id_: frozenset(others) for id_, others in found.items()}


def report(pairs: Iterable[Pair], bookings: Mapping[int, Booking], shown: int) -> list[str]:
    """A line for each company, service and day: how many bookings collide, and the first ids; no names.

    :param shown: the longest list of ids.
    """
    lines = []
    for (company, service, day), group in groupby(
        sorted(pairs, key=lambda pair: (_where(bookings[pair[0]]), pair)),
        key=lambda pair: _where(bookings[pair[0]]),
    ):
        own = list(group)
        inner = len({other for _, other in own})
        ids = ", ".join(f"{other} in {one}" for one, other in own[:shown])
        more = f" and {len(own) - shown} more" if len(own) > shown else ""
        what = "booking" if inner == 1 else "bookings"
        lines.append(f"company {company}, service {service}, {day}: {inner} {what} ({ids}{more})")
    return lines


def _ordered(one: Booking, other: Booking) -> Pair:
    first, second = sorted((one, other), key=lambda b: (b.whole[0], b.id))
    return (first.id, second.id)


def _where(booking: Booking) -> tuple[str, str, date]:
    return (str(booking.company_id or "–"), str(booking.service_id or "–"), booking.day)
