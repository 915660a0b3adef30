# SPDX-License-Identifier: MIT
"""What a month's rollup writes: the figures of the rows, those of the samples, and what must not be lost of earlier ones.

A month may be rolled up again after the application has removed its rows, or retention its samples: what is not there any
more does not replace what was counted when it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from processing_time.model import ALL_COMPANIES, Sample, SourceUnavailable
from processing_time.reports.monthly_figures import Counted, Id
from processing_time.reports.monthly_rows import Rows
from processing_time.reports.monthly_samples import SampleRollup
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.store_reports import Rolled

SHARE = "processing_time_share"
"""Of all appointments created in the month, in per cent, those of services that processing time is on for."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """A month, rolled up.

    :param rows: everything that is to be stored of it.
    :param lost: by metric, why it could not be measured.
    :param kept: metrics whose rows stay as they were, because what they were made of is gone.
    :param counted: the appointments behind the rows; None when they could not be read.
    :param names: of the services; empty where they have none.
    :param flags: what decided about them, and ``doubt``, why they may not have held all month.
    """

    month: date
    rows: tuple[Rolled, ...]
    lost: dict[str, str]
    kept: tuple[str, ...]
    samples: SampleRollup
    counted: Counted | None
    names: Mapping[Id, str]
    flags: FeatureFlags | None
    doubt: str = ""


def combine(
    month: date,
    rows: Rows,
    samples: SampleRollup,
    before: Sequence[Rolled],
    flags: FeatureFlags | None,
    doubt: str = "",
) -> Rollup:
    """Put a month together.

    :param before: what the month's rows were until now.
    :param flags: None when they are not known.
    """
    lost = {s.metric: s.reason for s in rows.samples if s.loss and s.company_id == ALL_COMPANIES}
    measured = [*_rolled(month, rows.samples, lost), *_shares(month, rows.counted)]
    gone = rows.counted is not None and not rows.counted.appointments
    until_now = {row.metric: row.samples for row in before if row.company_id == ALL_COMPANIES}
    found = {row.metric: row.samples for row in samples.rows if row.company_id == ALL_COMPANIES}
    kept = {m for m, count in until_now.items() if count > found.get(m, 0)}
    if gone:
        kept |= {row.metric for row in measured} & until_now.keys()
    new = [row for row in (*measured, *samples.rows) if row.metric not in kept]
    # What is switched off or cannot be measured now, but was when the month was rolled up before, stays as well.
    there = {row.metric for row in new}
    old = [row for row in before if row.metric not in there]
    return Rollup(
        month, (*new, *old), lost, tuple(sorted(kept)), samples, rows.counted, rows.names, flags, doubt
    )


def _rolled(month: date, found: Iterable[Sample], lost: dict[str, str]) -> list[Rolled]:
    """The rows of samples out of the database; 0 samples of checks went into them."""
    return [
        Rolled(month, s.metric, s.company_id, s.value, s.numerator, s.denominator, samples=0)
        for s in found
        if not s.loss and s.metric not in lost
    ]


def _shares(month: date, counted: Counted | None) -> list[Rolled]:
    """How much of what is booked uses processing time, for all companies and for each that has appointments."""
    if counted is None or isinstance(counted.eligible, SourceUnavailable):
        return []
    used = shares(counted)
    return [
        Rolled(month, SHARE, company_id, 100 * part / whole if whole else None, part, whole, samples=0)
        for company_id, (part, whole) in sorted(used.items())
        if whole or company_id == ALL_COMPANIES
    ]


def shares(counted: Counted) -> dict[int, tuple[int, int]]:
    """By company, the appointments of services that processing time is on for, and all; 0 is all companies."""
    on: frozenset[Id] = frozenset(counted.eligible_ids())
    found: dict[int, tuple[int, int]] = {ALL_COMPANIES: (0, 0)}
    for service_id, use in counted.uses.items():
        part = use.appointments if service_id in on else 0
        for company_id in {ALL_COMPANIES, counted.company(service_id) or ALL_COMPANIES}:
            so_far = found.get(company_id, (0, 0))
            found[company_id] = (so_far[0] + part, so_far[1] + use.appointments)
    return found
