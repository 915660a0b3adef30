# SPDX-License-Identifier: MIT
"""What a run of the benchmark leaves: the machine, and the figures of each part, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.figures import Figure, Target

PARTS = ("database", "log", "cache", "reports", "airflow", "targets", "page")
ABSENT = "is not installed"
"""A line of progress that says so goes into the tables: nothing is left out in silence."""
Record = Mapping[str, Any]


def as_json(figure: Figure) -> dict[str, Any]:
    """A figure for the record."""
    return asdict(figure)


def figures(record: Record, part: str) -> list[Figure]:
    """The figures of a part, as they were measured."""
    found = record["parts"].get(part, {}).get("figures", [])
    return [
        Figure(
            **{
                **f,
                "runs": tuple(f["runs"]),
                "target": Target(**f["target"]) if f["target"] else None,
            }
        )
        for f in found
    ]


def unmeasured(record: Record, part: str) -> list[str]:
    """What could not be measured of a part, each as a sentence."""
    of = record["parts"].get(part)
    if of is None:
        return [f"{part} was not measured"]
    return [*([f"{part} was not measured: {of['missing']}"] if of["missing"] else ()), *of.get("absent", ())]
