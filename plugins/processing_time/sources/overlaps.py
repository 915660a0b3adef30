# SPDX-License-Identifier: MIT
"""Bookings that start inside the processing phase of another appointment of the same member of staff.

The phases come to the client as stretches of time, and so do the bookings that start while any of them lasts; they are
matched here. What is read grows with the window and with the bookings at those times, whatever the optimizer thinks:
each way to the bookings is forced, and chosen by what there is to read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from itertools import chain, pairwise
from typing import Any, TypeVar

from processing_time.model import ALL_COMPANIES, Sample, Window
from processing_time.sources.scope import Service
from processing_time.sources.snapshot import Row

Time = TypeVar("Time", bound=Any)

Ask = Callable[..., Iterator[Row]]
"""Called with the path of an SQL file, ``identifiers`` and values to bind; gives its rows."""

BLOCK = 10_000
"""Ids that are counted together when it is decided how to read them."""
LOOKUP = 8
"""What looking up a row through an index costs, in rows read along the primary key (measured on MariaDB 10.11)."""
DECIDING = ("staff_id", "created_at", "service_id", "deleted_at")
"""The columns besides starts_at that decide whether a booking counts."""
DAY = 86_400
WEEK = 7 * DAY
FIRST_DAY = datetime(1, 1, 1, tzinfo=UTC)
"""Python's; TO_SECONDS counts from a year before."""
STRETCHES, GAP = 50, DAY
"""Times without any phase that are longer than a day are left out, up to so many stretches."""
PORTION, STAFF = 10 * BLOCK, 200
"""How many ids are walked, and how many members of staff asked for, by one statement."""
EVERY = 2**63 - 1
"""Above every id."""


@dataclass(frozen=True, slots=True)
class Found:
    """Appointments with a processing phase, and the bookings that start in one of those: ids by company, 0 for all."""

    outer: Mapping[int, set[int]]
    inner: Mapping[int, set[int]]


def find(
    key: str,
    services: Mapping[int | str, Service],
    ask: Ask,
    columns: Container[str],
) -> Found:
    """The distinct bookings, for all companies and for each that has appointments with a processing phase.

    :param columns: those that the table of appointments has.
    """
    outer: dict[int, set[int]] = defaultdict(set)
    phases = _Phases()
    for id_, service_id, staff_id, starts, ends in ask(f"metrics/{key}.sql"):
        company_id = services[service_id].company_id if service_id in services else None
        outer[ALL_COMPANIES].add(id_)
        if company_id is not None:
            outer[int(company_id)].add(id_)
        if staff_id is not None and starts is not None and ends is not None:
            phases.add(staff_id, starts, ends, id_, company_id)
    inner: dict[int, set[int]] = defaultdict(set)
    for id_, companies in phases.match(chain.from_iterable(_candidates(phases, ask, columns))).items():
        inner[ALL_COMPANIES].add(id_)
        for company_id in companies:
            if company_id is not None:
                inner[int(company_id)].add(id_)
    return Found(outer, inner)


def samples(key: str, window: Window, found: Found, detail: Mapping[str, Any]) -> list[Sample]:
    """How many those are, for all companies and for each that has appointments with a processing phase.

    :param detail: what every sample's detail holds besides.
    """
    counts = {c: len(found.inner.get(c, ())) for c in sorted({ALL_COMPANIES, *found.outer})}
    return [
        Sample(
            key,
            window,
            company_id,
            value=count,
            numerator=count,
            denominator=len(found.outer.get(company_id, ())),
            detail=detail,
        )
        for company_id, count in counts.items()
    ]


class _Phases:
    """Processing phases by member of staff, for finding those that a moment lies in."""

    def __init__(self) -> None:
        self._by_staff: dict[str, list[tuple[int, int, int, int | None]]] = defaultdict(list)

    def add(self, staff_id: str, starts: int, ends: int, appointment_id: int, company_id: int | None) -> None:
        if ends > starts:
            self._by_staff[staff_id].append((starts, ends, appointment_id, company_id))

    @property
    def staff(self) -> list[str]:
        return sorted(self._by_staff)

    def stretches(self) -> list[tuple[int, int]]:
        """The times at which any phase lasts, with the long gaps between them left out."""
        return stretches((phase[:2] for own in self._by_staff.values() for phase in own), GAP)

    def match(self, bookings: Iterable[Row]) -> dict[int, set[int | None]]:
        """The bookings that start in a phase of another appointment, with the companies of those."""
        by_staff = {
            staff_id: ([p[0] for p in own], own, max(p[1] - p[0] for p in own))
            for staff_id, own in ((s, sorted(o, key=lambda p: p[0])) for s, o in self._by_staff.items())
        }
        matched: dict[int, set[int | None]] = {}
        for id_, staff_id, at in bookings:
            known = by_staff.get(staff_id)
            if known is None:
                continue
            starts, own, longest = known
            # Going back from the last phase that has begun, as far as one that still lasts can have begun.
            place = bisect_right(starts, at) - 1
            while place >= 0 and starts[place] > at - longest:
                _, ends, appointment_id, company_id = own[place]
                if at < ends and appointment_id != id_:
                    matched.setdefault(id_, set()).add(company_id)
                place -= 1
        return matched


def stretches(spans: Iterable[tuple[Time, Time]], gap: Any) -> list[tuple[Time, Time]]:
    """The times that spans cover, in order, without the longest gaps between them.

    :param spans: of numbers or datetimes.
    :param gap: the difference of two; only a gap that is longer is left out.
    """
    ordered = sorted(spans)
    if not ordered:
        return []
    reach = ordered[0][1]
    gaps: list[tuple[Time, Time]] = []
    for starts, ends in ordered[1:]:
        if starts - reach > gap:
            gaps.append((reach, starts))
        reach = max(reach, ends)
    cuts = sorted(nlargest(STRETCHES - 1, gaps, key=lambda cut: cut[1] - cut[0]))
    edges = [ordered[0][0], *(edge for cut in cuts for edge in cut), reach]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _candidates(phases: _Phases, ask: Ask, columns: Container[str]) -> Iterator[Iterator[Row]]:
    """The id, staff and start of every booking that starts while any phase lasts; perhaps of some more.

    In portions, because a driver may hold all rows of a statement at once.
    """
    stretches = phases.stretches()
    if not stretches:
        return
    staff = phases.staff
    holding_all, by_start, by_staff = _indexes(ask, columns)
    for starts, ends in stretches:
        times = _between(starts, ends)
        if holding_all:
            index = {"index": holding_all}
            for at in range(starts, ends, WEEK):
                week = _between(at, min(at + WEEK, ends))
                yield ask("context/overlap_candidates_by_start.sql", index, first=EVERY, **week)
        elif by_start:
            index = {"index": by_start}
            blocks = ask("context/overlap_blocks.sql", index, block_size=BLOCK, **times)
            first, until = cheapest([(int(block), int(count)) for block, count in blocks])
            yield ask("context/overlap_candidates_by_start.sql", index, first=first, **times)
            for low in range(first, until, PORTION):
                high = min(low + PORTION, until)
                yield ask("context/overlap_candidates_by_key.sql", first=low, until=high, **times)
        elif by_staff:
            index = {"index": by_staff}
            for n in range(0, len(staff), STAFF):
                some = staff[n : n + STAFF]
                yield ask("context/overlap_candidates_by_staff.sql", index, staff=some, **times)
        else:
            yield ask("context/overlap_candidates_by_key.sql", first=0, until=EVERY, **times)


def _between(starts: int, ends: int) -> dict[str, datetime]:
    """A stretch as the application would have written it."""
    first, last = (FIRST_DAY + timedelta(seconds=at - 366 * DAY) for at in (starts, ends))
    return {"range_start": first.replace(tzinfo=None), "range_end": last.replace(tzinfo=None)}


def cheapest(blocks: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """From which id on to walk along the primary key, and up to which; what lies below is looked up one by one.

    :param blocks: number and count of the blocks of :data:`BLOCK` ids that hold anything.
    """
    if not blocks:
        return 0, 0
    ordered = sorted(blocks)
    until = (ordered[-1][0] + 1) * BLOCK
    below, best = 0, (until - ordered[0][0] * BLOCK, ordered[0][0] * BLOCK)
    for (_, count), following in pairwise([*ordered, (until // BLOCK, 0)]):
        below += count
        first = following[0] * BLOCK
        best = min(best, (below * LOOKUP + until - first, first))
    return best[1], until


def _indexes(ask: Ask, columns: Container[str]) -> tuple[str, str, str]:
    """The names of three indexes, empty where there is none: one that starts with starts_at and holds whatever decides
    about a booking, one that starts with starts_at, and one on (staff_id, starts_at).
    """
    indexes: dict[str, list[str]] = defaultdict(list)
    for name, column in ask("context/appointment_indexes.sql"):
        indexes[name].append(column.lower())
    by_start = [name for name, own in indexes.items() if own[0] == "starts_at"]
    by_staff = [name for name, own in indexes.items() if own[:2] == ["staff_id", "starts_at"]]
    deciding = {column for column in DECIDING if column in columns}
    holding_all = [name for name in by_start if deciding <= {*indexes[name]}]
    return _first(holding_all), _first(by_start), _first(by_staff)


def _first(names: Sequence[str]) -> str:
    return f"`{names[0].replace('`', '``')}`" if names else ""
