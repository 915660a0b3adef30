# SPDX-License-Identifier: MIT
"""What a database login may do to a table, read from ``SHOW GRANTS`` of MySQL and MariaDB. Nothing is asked here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

ALL = "ALL PRIVILEGES"
READING = frozenset({"SELECT", "USAGE", "SHOW VIEW", "SHOW DATABASES", "PROCESS"})
"""Privileges that change nothing."""

# The end of a line may hold the hash of a password: it is never looked at.
_GRANT = re.compile(
    r"GRANT (?P<privileges>.+?) ON (?:TABLE )?(?P<schema>`.+?`|\*)\.(?P<table>`.+?`|\*) TO ", re.IGNORECASE
)
_ROLE = re.compile(r"GRANT (?!.* ON )(?P<role>.+?) TO ", re.IGNORECASE)
_COLUMNS = re.compile(r"\s*\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Grant:
    """Privileges on a table; ``*`` stands for any. A schema may hold the wildcards ``%`` and ``_``."""

    privileges: frozenset[str]
    schema: str
    table: str

    def covers(self, schema: str, table: str) -> bool:
        """Whether it is about that table."""
        return _like(self.schema, schema) and self.table in ("*", table)


@dataclass(frozen=True, slots=True)
class Grants:
    """All grants of a login, and the roles that it was given (what a role may do is not told by MySQL)."""

    grants: tuple[Grant, ...]
    roles: tuple[str, ...] = ()

    def on(self, schema: str, table: str) -> frozenset[str]:
        """The privileges that hold for a table."""
        return frozenset().union(*(g.privileges for g in self.grants if g.covers(schema, table)))

    def missing(self, wanted: Collection[str], schema: str, table: str) -> list[str]:
        """What of ``wanted`` is not granted on a table; empty when a role may grant it."""
        held = self.on(schema, table)
        return [] if self.roles or ALL in held else [p for p in wanted if p not in held]

    def beyond(self, allowed: Collection[str], schema: str) -> list[str]:
        """What may be done to a schema, or to any of its tables, besides ``allowed``, roles last."""
        held = {p for g in self.grants if _like(g.schema, schema) for p in g.privileges}
        return sorted(held - set(allowed) - READING) + [f"role {role}" for role in self.roles]


def parse(lines: Iterable[str]) -> Grants:
    """The rows of ``SHOW GRANTS``; a row of an unknown form is passed over."""
    grants: list[Grant] = []
    roles: list[str] = []
    for line in lines:
        if match := _GRANT.match(line):
            privileges = re.split(r",\s*", _COLUMNS.sub("", match["privileges"]).upper())
            grants.append(Grant(frozenset(privileges), match["schema"].strip("`"), match["table"].strip("`")))
        elif match := _ROLE.match(line):
            roles.append(match["role"].replace("`", ""))
    return Grants(tuple(grants), tuple(roles))


def _like(pattern: str, schema: str) -> bool:
    r"""``LIKE`` as grants use it: ``%`` and ``_`` are wildcards unless a ``\`` stands before them."""
    if pattern == "*":
        return True
    parts = re.findall(r"\\.|.", pattern)
    shell = "".join({"%": "*", "_": "?"}.get(p, f"[{p[-1]}]" if p[-1] in "*?[" else p[-1]) for p in parts)
    return fnmatchcase(schema, shell)
