# SPDX-License-Identifier: MIT
"""Where a window begins in the primary key, so that a query reads the window and not the table.

The application has no index that starts with ``created_at``, but ids grow in the order of insertion. What was created
since S was inserted after any check that was made before S, so it lies above the highest id which that check saw,
whatever ``created_at`` its neighbours have (imports bring old ones). Where no such check is remembered, nothing short of
looking at every row proves a boundary: one query does that for the longest window, and the others start from its
result. Every query compares ``created_at`` all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from processing_time.sources import queries
from processing_time.sources.snapshot import Row, Snapshot
from processing_time.timeline import Timeline

MARGIN = timedelta(minutes=30)
"""How long before a window the check must have been: covers its delay, clocks that differ, open transactions."""
DELAY = timedelta(minutes=15)
"""How long after its ``as_of`` a check may leave a watermark; later (a backfill), rows from after it are there."""

BY_WATERMARK = "watermark"
BY_SCAN = "plain range"


@dataclass(frozen=True, slots=True)
class Watermark:
    """The highest ids in the application's tables when a check looked; ``as_of`` is aware, in UTC."""

    as_of: datetime
    appointments: int
    phases: int


@dataclass(frozen=True, slots=True)
class Boundary:
    """No appointment that was created in the window has an id below ``first``; ``way`` says how that is known."""

    first: int
    way: str


class Boundaries:
    """The boundaries of one check's windows, each looked for when it is first asked for.

    :param earliest: the start of the longest window that will be asked for; aware, in UTC.
    """

    def __init__(
        self, snapshot: Snapshot, timeline: Timeline, watermarks: Sequence[Watermark], earliest: datetime
    ) -> None:
        self._snapshot, self._timeline, self._watermarks = snapshot, timeline, watermarks
        self._earliest = earliest
        self._found: dict[datetime, Boundary] = {}
        self._phases: dict[datetime, int] = {}

    def appointments(self, start: datetime) -> Boundary:
        """The boundary of the window from an instant (aware, in UTC) to ``as_of``; raises as ``Snapshot.rows``."""
        if start not in self._found:
            self._found[start] = self._by_watermark(start) or self._by_scan(start)
        return self._found[start]

    def phases(self, start: datetime) -> int:
        """The lowest id of a phase of the appointments from the window's boundary on; raises as ``Snapshot.rows``."""
        if start not in self._phases:
            self._phases[start] = (
                self._one("first_phase", first_appointment=self.appointments(start).first) or 0
            )
        return self._phases[start]

    @property
    def ways(self) -> str:
        """How those that were asked for are known."""
        return ", ".join(sorted({boundary.way for boundary in self._found.values()}))

    def _by_watermark(self, start: datetime) -> Boundary | None:
        usable = [w for w in self._watermarks if w.as_of <= start - MARGIN]
        if not usable:
            return None
        last = max(usable, key=lambda w: w.as_of)
        # Ids that were given out again (a table truncated, a dump restored) show as young rows below the watermark.
        rows = self._rows("appointment_at", highest=last.appointments)
        created = rows[0][0] if rows else None
        if rows and (created is None or created >= self._timeline.to_application(start)):
            return None
        # Their newest may be an import with an old time: where rows are gone, ids may have been given out again, too.
        if (self._one("last_appointment") or 0) < last.appointments:
            return None
        return Boundary(last.appointments + 1, BY_WATERMARK)

    def _by_scan(self, start: datetime) -> Boundary:
        floor = self.appointments(self._earliest).first if start > self._earliest else 0
        first = self._one(
            "first_appointment",
            first_appointment=floor,
            window_start=self._timeline.to_application(start),
            window_end=self._timeline.to_application(self._timeline.as_of),
        )
        if first is None:
            first = (self._one("last_appointment") or 0) + 1
        return Boundary(first, BY_SCAN)

    def _one(self, name: str, **values: object) -> int | None:
        value = self._rows(name, **values)[0][0]
        return None if value is None else int(value)

    def _rows(self, name: str, **values: object) -> list[Row]:
        query = queries.read(f"context/{name}.sql")
        return self._snapshot.rows(query.statement({}), values)


def watermark(snapshot: Snapshot, as_of: datetime) -> dict[str, int] | None:
    """The highest ids now, for later checks; None for a check that looks at its ``as_of`` too late to say.

    Here, and only here, the server's present time matters: ids say nothing about a moment that has passed.
    """
    appointments, phases, now = snapshot.rows(queries.read("context/watermark.sql").statement({}))[0]
    if now.replace(tzinfo=UTC) > as_of + DELAY:
        return None
    return {"appointments": int(appointments or 0), "phases": int(phases or 0)}
