# SPDX-License-Identifier: MIT
"""Where a benchmark keeps its data and its record, and that only one runs there at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from demo.workplace import held

WORK = Path(__file__).resolve().parents[1] / ".bench"


def only_one() -> AbstractContextManager[None]:
    """Hold the directory; raises Busy when another benchmark has it."""
    return held(WORK, f"Another benchmark is running in {WORK}: wait for it, or end it with Ctrl-C.")
