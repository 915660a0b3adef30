# SPDX-License-Identifier: MIT
"""What our own schema remembers of a week besides samples: which checks finished, and what they could not measure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processing_time.model import ALL_COMPANIES, Loss, Window
from processing_time.store_session import Session, aware, fetch, naive


@dataclass(frozen=True, slots=True)
class Lost:
    """A metric or rule that a check could not measure, and why."""

    as_of: datetime
    metric: str
    reason: str
    whole_source: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """How the week was watched.

    :param first: the first check that ever finished; None when there was none.
    :param checks: when the finished checks of the week were, oldest first.
    """

    first: datetime | None
    checks: tuple[datetime, ...]
    lost: tuple[Lost, ...]


def watch(session: Session, window: Window) -> Watch:
    """How a week was watched; what this deployment never gave is no loss."""

    def read(cursor: Any) -> Watch:
        (row,) = fetch(cursor, "SELECT MIN(as_of) AS as_of FROM checks WHERE finished_at IS NOT NULL")
        span = (naive(window.start), naive(window.end))
        checks = fetch(
            cursor,
            "SELECT as_of FROM checks WHERE as_of >= %s AND as_of < %s AND finished_at IS NOT NULL ORDER BY as_of",
            span,
        )
        lost = fetch(
            cursor,
            "SELECT as_of, metric, reason, loss FROM samples WHERE as_of >= %s AND as_of < %s"
            " AND company_id = %s AND state = 'unknown' AND loss <> %s ORDER BY as_of, metric",
            (*span, ALL_COMPANIES, str(Loss.NEVER)),
        )
        return Watch(
            first=aware(row["as_of"]) if row["as_of"] else None,
            checks=tuple(aware(check["as_of"]) for check in checks),
            lost=tuple(
                Lost(aware(r["as_of"]), r["metric"], r["reason"], r["loss"] == Loss.SOURCE) for r in lost
            ),
        )

    return session.run(read)
