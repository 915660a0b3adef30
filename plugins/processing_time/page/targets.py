# SPDX-License-Identifier: MIT
"""The list of the targets as data: how each is. One that cannot be read has its sentence, and costs the others nothing."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime

from processing_time.messages.context import LEVELS
from processing_time.model import WORST_FIRST, State
from processing_time.page.application import Surroundings
from processing_time.page.overview import watched
from processing_time.page.status import Status, status
from processing_time.settings import Settings, SettingsError
from processing_time.store_page import Newest
from processing_time.store_session import StoreError

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that the list waits for the stores."""
AT_ONCE = 16
"""How many stores are asked at the same time."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target in the list.

    :param status: how it is; with nothing but the state ``unknown`` and a sentence when it cannot be read.
    :param alerts: its open alerts by level, in words; empty when it cannot be read.
    """

    name: str
    status: Status
    alerts: str = ""


@dataclass(frozen=True, slots=True)
class TargetsPage:
    """The list, the worst first.

    :param overdue: the targets whose check is overdue.
    """

    state: State
    overdue: tuple[str, ...]
    targets: tuple[Target, ...]


class Reader:
    """Reads the stores of all targets at the same time, each at most once at any time, however often it is asked."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._asked: dict[str, Future[Target]] = {}
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def read(self) -> TargetsPage:
        """The list as it is now.

        :raises SettingsError: when nobody knows which targets there are.
        """
        asked = {name: self._ask(name) for name in self._around.targets()}
        wait(asked.values(), PATIENCE)
        rows = (
            future.result()
            if future.done()
            else _blind(name, f"Its store has not answered within {PATIENCE:g} s.")
            for name, future in asked.items()
        )
        found = tuple(sorted(rows, key=lambda row: WORST_FIRST.index(row.status.state)))
        overdue = tuple(row.name for row in found if row.status.overdue)
        return TargetsPage(found[0].status.state, overdue, found)

    def _ask(self, name: str) -> Future[Target]:
        with self._lock:
            future = self._asked.get(name)
            if future is None or future.done():
                future = self._asked[name] = Future()
                # A store that hangs must hold up neither the next request nor the end of this process.
                threading.Thread(target=self._answer, args=(name, future), daemon=True).start()
            return future

    def _answer(self, name: str, future: Future[Target]) -> None:
        with self._free:
            try:
                future.set_result(self._target(name))
            except (StoreError, SettingsError) as error:
                log.warning("the target %s cannot be shown: %s", name, error)
                future.set_result(_blind(name, str(error)))
            except Exception as error:
                log.exception("the target %s cannot be shown", name)
                why = f"Its store cannot be read ({type(error).__name__}): see the log of the API server."
                future.set_result(_blind(name, why))

    def _target(self, name: str) -> Target:
        settings = self._around.settings(name)
        with self._around.store(settings) as store:
            return target(store.newest(watched(settings)), settings, self._around.clock())


def target(newest: Newest, settings: Settings, present: datetime) -> Target:
    """A target, out of rows of its store."""
    levels = Counter(alert.level for alert in newest.open_alerts)
    told = [f"{levels[level]} at level {LEVELS[level]}" for level in sorted(levels, reverse=True)]
    if more := newest.open_count - len(newest.open_alerts):
        told.append(f"{more} more")
    return Target(
        settings.target,
        status(newest.check, newest.verdicts, settings, present),
        ", ".join(told) or "none",
    )


def _blind(name: str, sentence: str) -> Target:
    return Target(name, Status(State.UNKNOWN, sentence))
