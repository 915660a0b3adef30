# SPDX-License-Identifier: MIT
"""The phases of a day by hour, out of what the checks of that day counted.

A check counts the phases of the day's appointments up to its own time. So the difference of two checks is what came
between them; the first check of a day speaks for the night. Where a check is missing, the stretch is longer and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from processing_time.settings import Settings


@dataclass(frozen=True, slots=True)
class Hours:
    """Phases by the hours in which their appointments were booked.

    :param day: the local day, in words.
    :param labels: the stretches, such as ``08:00–09:00``.
    :param counts: by type of phase; each as long as the labels. Appointments that were deleted leave less, never below 0.
    """

    day: str
    labels: tuple[str, ...]
    counts: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def alt(self) -> str:
        """What the chart shows, in words."""
        totals = ", ".join(f"{name} {sum(counts)}" for name, counts in self.counts)
        return f"Phases on {self.day} by hour of booking: {totals}."


_ORDER = ("initial", "processing", "final")


def hours(
    counted: Sequence[tuple[datetime, Mapping[str, int]]], start: datetime, settings: Settings
) -> Hours | None:
    """The phases of a day by hour; None when no check has counted any.

    :param counted: what each check of the day counted by type, oldest first.
    :param start: the local midnight at which the day begins; UTC.
    """
    types = sorted(
        {t for _, counts in counted for t in counts}, key=lambda t: (t not in _ORDER, _place(t), t)
    )
    if not types:
        return None
    labels: list[str] = []
    found: dict[str, list[int]] = {t: [] for t in types}
    before_at, before = start, dict.fromkeys(types, 0)
    for at, counts in counted:
        labels.append(f"{before_at.astimezone(settings.zone):%H:%M}–{at.astimezone(settings.zone):%H:%M}")
        for t in types:
            found[t].append(max(0, counts.get(t, 0) - before.get(t, 0)))
        before_at, before = at, dict(counts)
    day = f"{start.astimezone(settings.zone):%A %d %B}"
    return Hours(day, tuple(labels), tuple((t, tuple(found[t])) for t in types))


def _place(type_: str) -> int:
    return _ORDER.index(type_) if type_ in _ORDER else len(_ORDER)
