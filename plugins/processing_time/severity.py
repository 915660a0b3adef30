# SPDX-License-Identifier: MIT
"""Severities, apart from the model: the settings need nothing else of it, and are read at each parse of a DAG file."""

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
