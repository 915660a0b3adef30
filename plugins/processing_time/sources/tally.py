# SPDX-License-Identifier: MIT
"""From the rows of a metric's query to samples: one for all companies, one for each that has a population.

The rows hold ``company_id``, ``numerator`` and ``denominator``; further number columns are summed into the detail, and a
text column ``by_…`` breaks the denominator down by its values. A company may have several rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from processing_time.model import ALL_COMPANIES, Sample, Window, figure
from processing_time.settings import Metric
from processing_time.sources.snapshot import QueryFault, Row

REQUIRED = ("company_id", "numerator", "denominator")
Number = int | float


def samples(
    key: str,
    metric: Metric,
    window: Window,
    columns: Sequence[str],
    rows: Iterable[Row],
    detail: Mapping[str, Any],
) -> list[Sample]:
    """The samples of a metric of the kind rate, mean or count.

    :param columns: the names of the columns, in small letters.
    :param detail: what every sample's detail holds besides.
    :raises QueryFault: when a column is missing, or holds what it cannot.
    """
    everything = records(key, columns, rows)
    by_company: dict[Any, list[dict[str, Any]]] = {}
    for record in everything:
        by_company.setdefault(record["company_id"], []).append(record)
    found = [_sample(key, metric, window, ALL_COMPANIES, columns, everything, detail)]
    for company_id, own in sorted((c, own) for c, own in by_company.items() if c):
        sample = _sample(key, metric, window, int(company_id), columns, own, detail)
        if sample.denominator is None or sample.denominator > 0:
            found.append(sample)
    return found


def records(key: str, columns: Sequence[str], rows: Iterable[Row], *further: str) -> list[dict[str, Any]]:
    """The rows by the names of their columns.

    :param further: columns that are required besides.
    :raises QueryFault: when a column is missing, or a column of numbers holds something else.
    """
    needed = (*REQUIRED, *further)
    if missing := [name for name in needed if name not in columns]:
        raise QueryFault(f"include/sql/metrics/{key}.sql gives no column {missing[0]}: name one so")
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    for name in (name for name in columns if not name.startswith("by_")):
        if not all(isinstance(record[name], int | float | Decimal | None) for record in found):
            fix = "give one" if name in needed else f"call a text by_{name}"
            raise QueryFault(f"include/sql/metrics/{key}.sql: {name} is no number: {fix}")
    return found


def check_part(key: str, part: Number, whole: Number) -> None:
    """Raise QueryFault unless one number can be a part of another."""
    if not 0 <= part <= whole:
        raise QueryFault(
            f"include/sql/metrics/{key}.sql counts {figure(part)} of {figure(whole)}: the numerator has to be a part of the denominator"
        )


def number(value: Any) -> Number:
    """A number as the drivers give it (``Decimal`` for sums), whole where it is whole; NULL is nought."""
    if value is None:
        return 0
    return int(value) if value == int(value) else float(value)


def _sample(
    key: str,
    metric: Metric,
    window: Window,
    company_id: int,
    columns: Sequence[str],
    records: Sequence[Mapping[str, Any]],
    detail: Mapping[str, Any],
) -> Sample:
    numerator = sum(number(r["numerator"]) for r in records)
    counted = [number(r["denominator"]) for r in records if r["denominator"] is not None]
    # Without any row there is nobody, which is a population of nought.
    denominator = sum(counted) if counted or not records else None
    if metric.kind == "rate" and denominator is not None:
        check_part(key, numerator, denominator)
    extra: dict[str, Any] = {}
    for name in (name for name in columns if name not in REQUIRED):
        extra[name] = (
            _broken_down(name, records) if name.startswith("by_") else sum(number(r[name]) for r in records)
        )
    return Sample(
        key,
        window,
        company_id,
        value=_value(metric, numerator, denominator),
        numerator=numerator,
        denominator=denominator,
        detail={**extra, **detail},
    )


def _value(metric: Metric, numerator: Number, denominator: Number | None) -> Number | None:
    if metric.kind == "count":
        return numerator
    if not denominator:
        return None
    return 100 * numerator / denominator if metric.kind == "rate" else numerator / denominator


def _broken_down(name: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Number]:
    parts: dict[str, Number] = {}
    for record in records:
        value = "NULL" if record[name] is None else str(record[name])
        parts[value] = parts.get(value, 0) + number(record["denominator"])
    return parts
