# SPDX-License-Identifier: MIT
"""What our own schema remembers of a month: the samples of its checks, and the feature flags they were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from processing_time.model import Window
from processing_time.reports.monthly_samples import Reading
from processing_time.store_session import Session, aware, fetch, naive

FlagsAt = tuple[datetime, Mapping[str, Any]]


def readings(session: Session, window: Window, keys: Sequence[str]) -> list[Reading]:
    """What was measured of some metrics and rules, and not lost, in windows that end in a month."""
    if not keys:
        return []

    def read(cursor: Any) -> list[Reading]:
        marks = ", ".join(["%s"] * len(keys))
        rows = fetch(
            cursor,
            "SELECT metric, company_id, window_start, window_end, value, numerator, denominator FROM samples"  # noqa: S608
            f" WHERE as_of > %s AND as_of <= %s AND loss IS NULL AND metric IN ({marks})",
            (naive(window.start), naive(window.end), *keys),
        )
        return [
            Reading(window=Window(aware(row.pop("window_start")), aware(row.pop("window_end"))), **row)
            for row in rows
        ]

    return session.run(read)


def flags(session: Session, window: Window) -> list[FlagsAt]:
    """The feature flags of the checks in a month, oldest first, and those of the last check before it."""

    def read(cursor: Any) -> list[FlagsAt]:
        start, end = naive(window.start), naive(window.end)
        rows = fetch(
            cursor,
            "SELECT as_of, flags FROM checks WHERE flags IS NOT NULL AND as_of < %s AND as_of >="
            " COALESCE((SELECT MAX(as_of) FROM checks WHERE flags IS NOT NULL AND as_of <= %s), %s)"
            " ORDER BY as_of",
            (end, start, start),
        )
        return [(aware(row["as_of"]), json.loads(row["flags"])) for row in rows]

    return session.run(read)
