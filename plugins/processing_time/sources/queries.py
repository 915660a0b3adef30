# SPDX-License-Identifier: MIT
"""The SQL files in ``include/sql``: what each needs, and its text with the identifiers filled in.

A file's header is comment lines. ``-- needs <table>: <column>, <column>`` lines say what it reads, so that something
missing is said in words instead of as a syntax error. ``{{ name }}`` stands for an identifier or a condition that this
package makes from validated settings; every value is a bound parameter ``%(name)s``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, meta

from processing_time.settings import SQL
from processing_time.sources.snapshot import QueryFault

GUIDE = "include/sql/metrics/README.md"

IDS_OF = {"phase_creation_success_rate": "orphaned_appointments"}
"""Metrics that find the same appointments failing as another one, and use its files about them."""

_NEEDS = re.compile(r"^--\s*needs\s+(\w+):\s*(.+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$\n?", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s")
# What is made is SQL, not a page: nothing to escape.
_TEMPLATES = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701


@dataclass(frozen=True)
class Query:
    """One SQL file.

    :param path: below ``include/sql``, such as ``metrics/stale_phases.sql``.
    """

    path: str
    text: str

    @cached_property
    def names(self) -> frozenset[str]:
        """The ``{{ names }}`` that it uses; raises QueryFault when they cannot be parsed."""
        try:
            return frozenset(meta.find_undeclared_variables(_TEMPLATES.parse(self.text)))
        except TemplateError as error:
            raise QueryFault(f"include/sql/{self.path} is not a valid template: {error}") from None

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The parameters that are written out in it."""
        return frozenset(_PARAMETER.findall(_COMMENT.sub("", self.text)))

    @cached_property
    def tables(self) -> frozenset[str]:
        """The tables that its header names."""
        return frozenset(table for table, _ in _NEEDS.findall(self.text))

    def needs(self, identifiers: Mapping[str, str]) -> list[tuple[str, list[str]]]:
        """The tables and their columns that it reads."""
        found = _NEEDS.findall(self._filled(identifiers))
        return [(table, [c.strip(" `") for c in columns.split(",") if c.strip()]) for table, columns in found]

    def statement(self, identifiers: Mapping[str, str]) -> str:
        """The statement to execute, without its header.

        :raises QueryFault: for a name that does not exist, and for a percent sign, which the drivers trip over.
        """
        statement = _COMMENT.sub("", self._filled(identifiers)).strip().rstrip(";")
        if "%" in _PARAMETER.sub("", statement):
            raise QueryFault(
                f"include/sql/{self.path} holds a % that is no %(parameter)s: write MOD(), or LOCATE() for LIKE"
            )
        return statement

    def _filled(self, identifiers: Mapping[str, str]) -> str:
        if unknown := sorted(self.names - identifiers.keys()):
            raise QueryFault(
                f"include/sql/{self.path} uses {{{{ {unknown[0]} }}}}, which does not exist: see {GUIDE}"
            )
        return _TEMPLATES.from_string(self.text).render(identifiers)


def read(path: str) -> Query:
    """The file below ``include/sql``.

    :raises FileNotFoundError: when there is none.
    """
    return Query(path, (SQL / path).read_text(encoding="utf-8"))


def about_failing(key: str, what: str) -> str | None:
    """The file about what fails in a metric: its ``ids``, or whether some of these fail ``again``; None without one."""
    path = f"context/{IDS_OF.get(key, key)}_{what}.sql"
    return path if (SQL / path).is_file() else None


def bind(statement: str, values: Mapping[str, Any], path: str) -> tuple[str, dict[str, Any]]:
    """A statement and what is bound in it: only what it names, and each list as one parameter an item.

    The drivers do not agree on lists; an empty one becomes ``(NULL)``, which nothing is in.

    :raises QueryFault: when it names a value that there is not.
    """
    bound: dict[str, Any] = {}

    def placed(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            raise QueryFault(f"include/sql/{path} binds %({name})s, which does not exist: see {GUIDE}")
        value = values[name]
        if not isinstance(value, list | tuple):
            bound[name] = value
            return match[0]
        items = {f"{name}_{n}": item for n, item in enumerate(value)}
        bound.update(items)
        return f"({', '.join(f'%({item})s' for item in items) or 'NULL'})"

    return _PARAMETER.sub(placed, statement), bound
