# SPDX-License-Identifier: MIT
"""`python -m benchmarks.clean`: end what a benchmark that crashed left running, by its pid files, and remove .bench."""

from __future__ import annotations

import shutil
import sys

from benchmarks.work import WORK, Busy, only_one
from demo.processes import stop_leftover


def main() -> int:
    """Clean up; refuses while a benchmark is running."""
    if not WORK.exists():
        return 0
    try:
        with only_one():
            for pid_file in WORK.rglob("*.pid"):
                stop_leftover(pid_file)
            shutil.rmtree(WORK)
    except Busy as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
