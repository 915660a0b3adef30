# SPDX-License-Identifier: MIT
"""How much a finding matters. A module of its own: the settings need it at each parse of a DAG file, and nothing else of the model."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters; it picks the Slack channel."""

    INFO = "info"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for INFO up to 3 for CRITICAL, for comparisons."""
        return list(Severity).index(self)
