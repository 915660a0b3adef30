# SPDX-License-Identifier: MIT
"""`python -m demo.clean`: end what a demo left running, by its pid files, and remove the demo's directory."""

from __future__ import annotations

import shutil
import sys

from demo import stage
from demo.processes import ServiceError, stop_leftover


def main() -> int:
    """Clean up; refuses while a demo is running."""
    if not stage.DEMO.exists():
        return 0
    try:
        with stage.only_one():
            for pid_file in stage.DEMO.rglob("*.pid"):
                stop_leftover(pid_file)
            shutil.rmtree(stage.DEMO)
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
