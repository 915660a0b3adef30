# SPDX-License-Identifier: MIT
"""How the server would run each metric's query, and the index that would help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from processing_time.incident.action import Hands, Request
from processing_time.incident.diagnosis_database import Reading, reading
from processing_time.incident.diagnosis_finding import Finding
from processing_time.sources import error_budget, queries
from processing_time.sources.queries import Query
from processing_time.sources.snapshot import QueryFault

LARGE = 10_000
"""A table that is read as a whole and has fewer rows needs no index."""
_TABLES = {"a": "appointments", "ph": "appointment_phases", "s": "services"}
_WHOLE = ("ALL", "index")
BOOKINGS = ("starts_at", "staff_id", "created_at", "service_id")
"""What an index on appointments has to hold, starts_at first, so that overlaps are found in it alone."""


def findings(request: Request, hands: Hands) -> Iterator[Finding]:
    """A line for each metric, and the statements to run."""
    with reading(request, hands) as db:
        items, advice = [], list(_bookings(db))
        for key in hands.settings.enabled("mysql"):
            try:
                steps = explain(db, key)
            except QueryFault as fault:
                items.append(f"{key}: {fault}")
                continue
            items.append(
                f"{key}: " + ", ".join(_step(step) for step in steps if str(step["table"]) in _TABLES)
            )
            advice += filter(None, map(_missing, steps))
    statements = tuple(dict.fromkeys(advice))
    yield Finding(
        "Indexes",
        "each query finds its rows" if not statements else "an index would help",
        "nothing to do" if not statements else " ".join(statements),
        tuple(items),
    )


def explain(db: Reading, key: str) -> list[Mapping[str, Any]]:
    """The plan of a metric's query, with what it binds at this instant, a mapping a table.

    :raises QueryFault: when the query cannot run here.
    """
    query = queries.read(f"metrics/{key}.sql")
    metric = db.settings.metrics[key]
    names = {**db.scope.identifiers, **error_budget.identifiers(metric.budget)}
    db.scope.require(query, names)
    statement, bound = queries.bind(query.statement(names), _values(db, key, query), query.path)
    # A MySQL may be set to answer in another form; MySQL 9 is.
    columns, rows = db.opened.table(f"EXPLAIN FORMAT=TRADITIONAL {statement}", bound)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _values(db: Reading, key: str, query: Query) -> dict[str, Any]:
    metric, application = db.settings.metrics[key], db.settings.application
    window, written, boundaries = db.timeline.window(metric), db.timeline.to_application, db.boundaries
    values: dict[str, Any] = {
        **db.scope.values,
        "window_start": written(window.start),
        "window_end": written(window.end),
        "grace_end": written(window.end - application.grace),
        "pending_end": written(window.end - application.pending_limit),
        "shown": 1,
    }
    if metric.budget is not None:
        values |= error_budget.starts(metric.budget, db.timeline)
    if "first_appointment" in query.parameters:
        values["first_appointment"] = boundaries.appointments(window.start).first
    if "first_phase" in query.parameters:
        values["first_phase"] = boundaries.phases(window.start)
    return values


def _bookings(db: Reading) -> Iterator[str]:
    wanted = [*BOOKINGS, *(["deleted_at"] if db.scope.shape.has("appointments", "deleted_at") else [])]
    indexes: dict[str, list[str]] = {}
    for name, column in db.rows("context/appointment_indexes.sql"):
        indexes.setdefault(str(name), []).append(str(column))
    if not any(columns[0] == wanted[0] and set(wanted) <= set(columns) for columns in indexes.values()):
        yield f"For overlapping_bookings: {create('appointments', wanted)}"


def _missing(step: Mapping[str, Any]) -> str:
    table = _TABLES.get(str(step.get("table")), "")
    if (
        table == "services"
        or not table
        or step.get("type") not in _WHOLE
        or int(step.get("rows") or 0) < LARGE
    ):
        return ""
    return create(table, ["appointment_id" if table == "appointment_phases" else "created_at"])


def create(table: str, columns: Sequence[str]) -> str:
    """The statement that makes an index, for a person who may."""
    return f"CREATE INDEX {table}_monitoring ON {table} ({', '.join(columns)});"


def _step(step: Mapping[str, Any]) -> str:
    way = f"by {step['key']}" if step["key"] else "as a whole"
    return f"{_TABLES[str(step['table'])]} {way} ({step['type']}, about {step['rows']} rows)"
