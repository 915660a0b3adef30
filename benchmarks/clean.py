# SPDX-License-Identifier: MIT
"""`python -m benchmarks.clean`: end what a benchmark that crashed left running, by its pid files, and remove .bench."""

from __future__ import annotations

import sys

from benchmarks.work import WORK, only_one
from demo.workplace import clean

if __name__ == "__main__":
    sys.exit(clean(WORK, only_one))
