# SPDX-License-Identifier: MIT
"""Reads what keeps staff busy from a time on, and which appointments a rollback would turn back."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from processing_time.incident.action import Hands, Refused
from processing_time.incident.conflicts import Booking, Span
from processing_time.model import SourceUnavailable
from processing_time.sources import queries
from processing_time.sources import scope as scoping
from processing_time.sources.overlaps import DAY, FIRST_DAY
from processing_time.sources.scope import Scope
from processing_time.sources.snapshot import ConnectionLost, QueryFault, Row, Snapshot, snapshot

LONGEST = timedelta(days=1)
"""No booking lasts longer: one that began earlier is over."""
CANCELLED = ("cancelled", "canceled")
"""States of an appointment that keep nobody busy, where there is a column ``status``."""


class Calendar:
    """The application's appointments at one moment. Made by :func:`calendar`."""

    def __init__(self, opened: Snapshot, scope: Scope, hands: Hands) -> None:
        self._opened, self._scope = opened, scope
        self._application_zone, self._zone = hands.settings.application_zone, hands.settings.zone

    def to_turn_back(
        self, from_start: datetime, appointments: Sequence[int], services: Sequence[str] | None
    ) -> list[int]:
        """The appointments that start from then on and have phases of processing time, in order.

        :param appointments: only these; empty: all.
        :param services: only of these services, ids as text; None: of all.
        """
        rows = self._ask(
            "appointments_to_turn_back",
            from_start=self._naive(from_start),
            any_appointment=not appointments,
            appointments=appointments,
            any_service=services is None,
            services=services or (),
        )
        return [id_ for (id_,) in rows]

    def bookings(self, from_start: datetime) -> dict[int, Booking]:
        """The bookings that keep somebody busy at that time or later, by id."""
        since = self._naive(from_start - LONGEST)
        phases: dict[int, list[tuple[bool, int | None, int | None]]] = defaultdict(list)
        for id_, required, starts, ends in self._ask("busy", from_start=since):
            phases[id_].append((bool(required), starts, ends))
        found = {}
        for id_, company, service, staff, starts, ends in self._ask("bookings", from_start=since):
            whole, busy = _spans(starts, ends, phases.get(id_, ()))
            found[id_] = Booking(id_, company, service, str(staff), self._day(starts), whole, busy)
        return found

    def _ask(self, name: str, **values: Any) -> list[Row]:
        query = queries.read(f"incident/{name}.sql")
        cancelled = "NOT IN ('" + "', '".join(CANCELLED) + "')"
        has_status = self._scope.shape.has("appointments", "status")
        identifiers = {
            **self._scope.identifiers,
            "not_cancelled": f"status {cancelled}" if has_status else "id IS NOT NULL",
        }
        self._scope.require(query, identifiers)
        return self._opened.rows(*queries.bind(query.statement(identifiers), values, query.path))

    def _naive(self, instant: datetime) -> datetime:
        return instant.astimezone(self._application_zone).replace(tzinfo=None)

    def _day(self, seconds: int) -> date:
        return day_of(seconds, self._application_zone, self._zone)


@contextlib.contextmanager
def calendar(hands: Hands) -> Iterator[Calendar]:
    """A read-only snapshot of the application's appointments.

    :raises Refused: when it cannot be read.
    """
    unasked = SourceUnavailable("the feature flags do not matter here")
    try:
        with snapshot(hands.application, hands.settings.schedule.statement_timeout) as opened:
            found = scoping.shape(opened, scoping.TABLES)
            scope = scoping.scope(opened, hands.settings.application, unasked, found)
            yield Calendar(opened, scope, hands)
    except (SourceUnavailable, QueryFault, ConnectionLost) as error:
        raise Refused(f"the application's appointments cannot be read: {error}") from None


def day_of(seconds: int, written_in: ZoneInfo, zone: ZoneInfo) -> date:
    """The day in ``zone`` of a time that the application has written, in seconds since the year 0."""
    written = (FIRST_DAY + timedelta(seconds=seconds - 366 * DAY)).replace(tzinfo=written_in)
    return written.astimezone(UTC).astimezone(zone).date()


def _spans(
    starts: int, ends: int | None, phases: Sequence[tuple[bool, int | None, int | None]]
) -> tuple[Span, tuple[Span, ...]]:
    """The whole time of a booking, its phases included, and the parts of it that need somebody."""
    known = [(required, first, last) for required, first, last in phases if first and last]
    whole = (
        min([starts, *(first for _, first, _ in known)]),
        max([ends or starts, *(last for *_, last in known)]),
    )
    if len(known) < len(phases) or not known:
        return whole, (whole,)
    return whole, tuple((first, last) for required, first, last in known if required)
