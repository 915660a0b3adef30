# SPDX-License-Identifier: MIT
"""What the application's database holds and what of it counts: tables, services, eligibility, soft deletes.

From these come the identifiers and lists that the SQL files name as ``{{ … }}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processing_time.model import SourceUnavailable
from processing_time.settings import Application
from processing_time.sources import queries
from processing_time.sources.feature_flags import FeatureFlags, eligible
from processing_time.sources.queries import Query
from processing_time.sources.snapshot import CONNECTION, QueryFault, Snapshot

TABLES = ("appointments", "appointment_phases", "services")
PHASE_TYPES = ("initial", "processing", "final")
ELIGIBLE = "eligible_services"


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is not deleted. ``gives`` are the types of the phases that an appointment of it gets."""

    id: int | str
    company_id: int | None
    has_processing_time: bool
    gives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns that the login may read, by table, in small letters."""

    columns: Mapping[str, frozenset[str]]

    def has(self, table: str, column: str) -> bool:
        """Whether there is such a column."""
        return column.lower() in self.columns.get(table.lower(), ())

    def missing(self, table: str, columns: Sequence[str]) -> str:
        """The first of the columns that is not there (``"*"`` for the whole table); empty when all are."""
        if table.lower() not in self.columns:
            return "*"
        return next((c for c in columns if not self.has(table, c)), "")


def shape(snapshot: Snapshot, tables: Sequence[str]) -> Shape:
    """Ask once what there is.

    :raises SourceUnavailable: when none of the application's tables can be seen.
    """
    query = queries.read("context/columns.sql")
    rows = snapshot.rows(*queries.bind(query.statement({}), {"tables": tables}, query.path))
    columns: dict[str, set[str]] = {}
    for table, column in rows:
        columns.setdefault(_text(table).lower(), set()).add(_text(column).lower())
    if not columns.keys() & set(TABLES):
        raise SourceUnavailable(
            f"none of the tables {', '.join(TABLES)} can be seen: check the schema of {CONNECTION}, and GRANT SELECT"
        )
    return Shape({table: frozenset(names) for table, names in columns.items()})


@dataclass(frozen=True, slots=True)
class Scope:
    """What counts at this check.

    :param services: those that are not deleted, by id.
    :param eligible: the ids of those that have processing time and pass the flags, or why nobody knows.
    :param identifiers: what SQL files may name as ``{{ … }}``.
    :param values: what is bound to the parameters in those.
    """

    shape: Shape
    services: Mapping[int | str, Service]
    eligible: Sequence[int | str] | SourceUnavailable
    identifiers: Mapping[str, str]
    values: Mapping[str, Any]
    application: Application

    def require(self, query: Query, identifiers: Mapping[str, str]) -> None:
        """Raise QueryFault with the sentence to show when something that the query reads is not there."""
        if ELIGIBLE in query.parameters and isinstance(self.eligible, SourceUnavailable):
            raise QueryFault(str(self.eligible))
        _require(query, identifiers, self.shape, self.application)


def scope(
    snapshot: Snapshot, application: Application, flags: FeatureFlags | SourceUnavailable, found: Shape
) -> Scope:
    """Read the services and decide who counts.

    :raises QueryFault: when the services cannot be told.
    """
    services, deleted = _services(snapshot, application, found)
    chosen: list[int | str] | SourceUnavailable = (
        flags
        if isinstance(flags, SourceUnavailable)
        else [s.id for s in services if s.has_processing_time and eligible(s, flags)]
    )
    return Scope(
        shape=found,
        services={s.id: s for s in services},
        eligible=chosen,
        # Conditions are written behind a table's alias; every row has an id.
        identifiers={
            "sync_status_column": f"`{application.sync_status_column}`",
            "sync_error_code": "sync_error_code" if found.has("appointments", "sync_error_code") else "NULL",
            "not_deleted": _condition(_soft(application, found, "appointments"), "deleted_at IS NULL"),
            "service_not_deleted": _condition(_soft(application, found, "services"), "deleted_at IS NULL"),
            "not_composite": _condition(
                found.has("appointment_phases", "segment_key"), "segment_key IS NULL"
            ),
        },
        values={
            ELIGIBLE: [] if isinstance(chosen, SourceUnavailable) else chosen,
            "deleted_services": deleted,
            "synced_values": application.synced_values,
            "error_values": application.error_values,
        },
        application=application,
    )


def _condition(applies: bool, condition: str) -> str:
    return condition if applies else "id IS NOT NULL"


def _services(
    snapshot: Snapshot, application: Application, found: Shape
) -> tuple[list[Service], list[int | str]]:
    """The services that are not deleted, and the ids of those that are."""
    query = queries.read("context/services.sql")
    identifiers = {
        "service_not_deleted": _condition(_soft(application, found, "services"), "deleted_at IS NULL"),
        # Durations matter to the distribution alone, which says so itself where their columns are missing.
        **{f"{t}_duration": _or_null(found, f"{t}_duration") for t in PHASE_TYPES},
    }
    _require(query, identifiers, found, application)
    services, deleted = [], []
    for id_, company_id, has, kept, *durations in snapshot.rows(query.statement(identifiers)):
        if not kept:
            deleted.append(id_)
            continue
        gives = tuple(t for t, minutes in zip(PHASE_TYPES, durations, strict=True) if minutes and minutes > 0)
        services.append(Service(id_, company_id, bool(has), gives))
    return services, deleted


def _require(query: Query, identifiers: Mapping[str, str], found: Shape, application: Application) -> None:
    for table, columns in query.needs(identifiers):
        if missing := found.missing(table, columns):
            raise QueryFault(_sentence(table, missing, query.path, found, application))


def _sentence(table: str, column: str, path: str, found: Shape, application: Application) -> str:
    if column == "*":
        return f"there is no table {table} that the login may read: check the schema of {CONNECTION}, and GRANT SELECT"
    if column == application.sync_status_column:
        like = [c for c in sorted(found.columns[table]) if "sync_status" in c]
        hint = f" ({', '.join(like)} exists)" if like else ""
        return f"{table} has no column {column}: set application.sync_status_column{hint}"
    return f"{table} has no column {column}, which include/sql/{path} reads: adapt that file, or GRANT SELECT"


def _or_null(found: Shape, column: str) -> str:
    return f"s.{column}" if found.has("services", column) else "NULL"


def _soft(application: Application, found: Shape, table: str) -> bool:
    if application.soft_deletes is True and found.missing(table, ["deleted_at"]) == "deleted_at":
        raise QueryFault(f"{table} has no column deleted_at: set application.soft_deletes to auto")
    return application.soft_deletes is not False and found.has(table, "deleted_at")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes | bytearray) else str(value)
