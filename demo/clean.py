# SPDX-License-Identifier: MIT
"""`python -m demo.clean`: end what a demo left running, by its pid files, and remove the demo's directory."""

from __future__ import annotations

import sys

from demo import stage
from demo.workplace import clean

if __name__ == "__main__":
    sys.exit(clean(stage.DEMO, stage.only_one))
