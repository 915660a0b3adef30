# SPDX-License-Identifier: MIT
"""One answer of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """A question of the runbook, answered. Ids, counts and times only: no person.

    :param then: what the runbook does next, given this answer.
    :param items: the details, a line each.
    :param facts: what the known troubles are recognised by, by name.
    """

    question: str
    answer: str
    then: str
    items: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"items": list(self.items)}


def shown(items: list[str], most: int, what: str) -> tuple[str, ...]:
    """The first items, and how many more there are."""
    left = len(items) - most
    return (*items[:most], f"and {left} more {what}") if left > 0 else tuple(items)
