# SPDX-License-Identifier: MIT
"""Where a benchmark keeps its data and its record, and that only one runs there at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORK = Path(__file__).resolve().parents[1] / ".bench"


class Busy(RuntimeError):
    """Another benchmark is running; the message says what to do."""


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the directory; raises Busy when another benchmark has it."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"Another benchmark is running in {WORK}: wait for it, or end it with Ctrl-C."
            ) from None
        yield
