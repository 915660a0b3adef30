# SPDX-License-Identifier: MIT
"""What a month's rollup writes: the figures of the rows, those of the samples, and what must not be lost of earlier ones.

A month may be rolled up again after the application has removed its rows, or retention its samples: what is not there any
more does not replace what was counted when it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from processing_time.model import ALL_COMPANIES, Sample
from processing_time.reports.monthly_figures import Counted, Id
from processing_time.reports.monthly_period import window
from processing_time.reports.monthly_rows import Rows
from processing_time.reports.monthly_samples import SampleRollup, rolled_keys
from processing_time.reports.weekly_figures import adoption_rates
from processing_time.settings import Settings
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.store_reports import Rolled


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
    doubt: str,
    settings: Settings,
) -> Rollup:
    """Put a month together.

    :param before: what the month's rows were until now.
    :param flags: None when they are not known.
    """
    period = window(month, settings.zone)
    found = [*rows.samples, *(adoption_rates(rows.counted, period) if rows.counted else ())]
    lost = {s.metric: s.reason for s in found if s.loss and s.company_id == ALL_COMPANIES}
    measured = [*_rolled(month, found, lost), *samples.rows]
    until_now = {row.metric: row.samples for row in before if row.company_id == ALL_COMPANIES}
    now = {row.metric: row.samples for row in measured if row.company_id == ALL_COMPANIES}
    kept = {key for key in rolled_keys(settings) if until_now.get(key, 0) > now.get(key, 0)}
    if rows.counted is not None and not rows.counted.appointments:
        kept |= {s.metric for s in found} & until_now.keys()
    new = [row for row in measured if row.metric not in kept]
    # What cannot be measured now, or is switched off, but was there when the month was rolled up before, stays as well.
    there = {row.metric for row in new}
    old = [row for row in before if row.metric not in there]
    return Rollup(
        month, (*new, *old), lost, tuple(sorted(kept)), samples, rows.counted, rows.names, flags, doubt
    )


def _rolled(month: date, found: Iterable[Sample], lost: Mapping[str, str]) -> list[Rolled]:
    """The rows of what the database gave, a measurement each; a company without any population has none."""
    return [
        Rolled(month, s.metric, s.company_id, s.value, s.numerator, s.denominator, samples=1)
        for s in found
        if not s.loss
        and s.metric not in lost
        and (s.company_id == ALL_COMPANIES or s.numerator or s.denominator)
    ]
