# SPDX-License-Identifier: MIT
"""A directory that one run has to itself: held while it lasts, and cleaned up after one that crashed."""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from demo.processes import ServiceError, stop_leftover


class Busy(ServiceError):
    """Another run has the directory; the message says what to do."""


@contextmanager
def held(directory: Path, busy: str) -> Iterator[None]:
    """Hold a directory, made if need be; raises Busy with the sentence `busy` when another run has it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(busy) from None
        yield


def clean(directory: Path, alone: Callable[[], AbstractContextManager[None]]) -> int:
    """End what is left running by its pid files, and remove the directory; 1 when a run has it.

    `alone` holds the directory.
    """
    if not directory.exists():
        return 0
    try:
        with alone():
            for pid_file in directory.rglob("*.pid"):
                stop_leftover(pid_file)
            shutil.rmtree(directory)
    except Busy as error:
        print(error, file=sys.stderr)
        return 1
    return 0
