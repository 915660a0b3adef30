# SPDX-License-Identifier: MIT
"""What a demo tells the terminal: how long a step took, and why it ended early."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from demo.processes import ServiceError


@contextmanager
def timed(console: Console, what: str) -> Iterator[None]:
    """Say what is being done, and afterwards how long it took."""
    start = time.monotonic()
    with console.status(what):
        yield
    console.print(Text.assemble(what, (f"  {time.monotonic() - start:.1f} s", "dim")))


def ended(console: Console, run: Callable[[], int]) -> int:
    """The exit status of a run; one that cannot go on, or is ended from outside, says so."""
    try:
        return run()
    except ServiceError as error:
        console.print(Text(str(error), style="red"))
        return 1
    except KeyboardInterrupt:
        console.print("Ended.")
        return 130
