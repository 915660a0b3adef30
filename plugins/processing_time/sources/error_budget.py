# SPDX-License-Identifier: MIT
"""What failed in each window of an error budget, from one scan of the longest.

All windows end at the same instant, so each holds the shorter ones. The query groups by the number of windows that hold
an appointment (``{{ windows_held }}``); those held by three are in the three longest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain

from processing_time.burn_rate import Count, budget_of, measured
from processing_time.model import ALL_COMPANIES, Sample
from processing_time.settings import Budget, Metric
from processing_time.sources import tally
from processing_time.sources.snapshot import Row
from processing_time.timeline import Timeline

HELD = "held"


def identifiers(budget: Budget | None) -> Mapping[str, str]:
    """What the SQL file of a budget may name besides."""
    if budget is None:
        return {}
    inner = [f"(a.created_at >= %(start_{n})s)" for n in range(1, len(budget.lengths))]
    return {"windows_held": " + ".join(["1", *inner])}


def starts(budget: Budget, timeline: Timeline) -> Mapping[str, datetime]:
    """What is bound in ``{{ windows_held }}``: where the windows begin, in the application's time."""
    return {
        f"start_{n}": timeline.to_application(timeline.as_of - length)
        for n, length in enumerate(budget.lengths)
    }


def samples(blank: Sample, metric: Metric, columns: Sequence[str], rows: Iterable[Row]) -> list[Sample]:
    """A sample for all companies, and for each that has appointments in the longest window.

    :param rows: as of every metric, with a column ``held``: how many windows hold these appointments. The numerator is
        what failed.
    :raises QueryFault: when a column is missing, or holds what it cannot.
    """
    lengths = budget_of(metric).lengths
    counted: dict[int, list[list[int]]] = defaultdict(lambda: [[0, 0] for _ in lengths])
    for record in tally.records(blank.metric, columns, rows, HELD):
        company_id = record["company_id"]
        own = (counted[int(company_id)],) if company_id else ()
        for windows in (counted[ALL_COMPANIES], *own):
            for window in windows[: int(tally.number(record[HELD]))]:
                window[0] += int(tally.number(record["numerator"]))
                window[1] += int(tally.number(record["denominator"]))
    for failing, total in chain.from_iterable(counted.values()):
        tally.check_part(blank.metric, failing, total)
    return [
        measured(
            Sample(blank.metric, blank.window, company_id, detail=blank.detail),
            {length: Count(*window) for length, window in zip(lengths, counted[company_id], strict=True)},
            metric,
        )
        for company_id in sorted({ALL_COMPANIES, *counted})
    ]
