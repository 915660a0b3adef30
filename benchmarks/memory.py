# SPDX-License-Identifier: MIT
"""What the kernel says of a process's memory."""

from __future__ import annotations

import re
from pathlib import Path

OWN = Path("/proc/self")


def kib(process: Path, what: str) -> int:
    """Out of the kernel's account, such as VmRSS or VmHWM; 0 for a process that has ended."""
    try:
        found = re.search(rf"{what}:\s+(\d+) kB", (process / "status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0


def begin() -> int:
    """Let the peak of this process start here; KiB that it has now."""
    (OWN / "clear_refs").write_text("5")
    return kib(OWN, "VmRSS")


def peak(before: int) -> float:
    """MiB that this process had at the most beyond what it had before."""
    return (kib(OWN, "VmHWM") - before) / 1024
