# SPDX-License-Identifier: MIT
"""What the incident actions ask of the application itself, where ``php artisan`` runs.

A table of commands, and nothing else: ids are whole numbers or UUIDs, no text of a person reaches a command line. Where
the command runs is left to a :data:`Runner`: on this machine (``artisan_local``) or over SSH (``artisan_ssh``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from processing_time.incident.action import Refused

Switch = Literal["disable", "enable"]


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended, for the audit row.

    :param output: the end of what it wrote, without secrets and personal data as far as a pattern can tell.
    """

    command: str
    exit_code: int
    output: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class CommandFailed(Refused):
    """A command ended with an error; ``ran`` says how."""

    def __init__(self, sentence: str, ran: Ran) -> None:
        super().__init__(sentence)
        self.ran = ran


@dataclass(frozen=True, slots=True)
class FlagFile:
    """The flags that a switch sets in the application's ``.env``, before and after it; no other line of that file.

    :param before: raw values by key as the application's own parser reads them; a missing key is None.
    :param after: what they are once it is switched.
    :param saved: the time of the backup that ``enable`` goes back to, UTC in ISO 8601, else None.
    :param config_cached: the application reads a cached configuration, so ``.env`` alone changes nothing.
    """

    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    saved: str | None
    config_cached: bool


class Artisan(Protocol):
    """The application's own commands. Each raises :class:`CommandFailed`, or :class:`Refused` when it cannot be run."""

    def features(self) -> Mapping[str, Any]:
        """What ``config('features')`` holds under ``processing_time_…``, whatever ``.env`` says."""

    def observer_registered(self) -> bool:
        """Whether the phase observer listens to created appointments."""

    def failed_sync_jobs(self) -> tuple[str, ...]:
        """Ids of the failed jobs of the sync class, newest first; at most :data:`LISTED`."""

    def retry(self, job_ids: Sequence[str]) -> tuple[Ran, ...]:
        """``queue:retry`` for these failed jobs."""

    def create_phases(self, appointment_ids: Sequence[str]) -> Mapping[str, str]:
        """Let the application's service make the missing phases.

        :return: by id ``created``, ``present`` (there were some), ``none`` (the service made none), ``missing`` (no
            such appointment) or ``failed <class of the exception>``.
        """

    def clear_cache(self) -> Ran:
        """``cache:clear``: empties the whole cache store."""

    def flags(self, switch: Switch) -> FlagFile:
        """What :meth:`set_flags` would do; changes nothing."""

    def set_flags(self, switch: Switch) -> FlagFile:
        """Set the flags in ``.env``: atomically, with a backup beside it, all other bytes as they were."""

    def rebuild_config(self) -> Ran:
        """``config:cache``. Only where the configuration was cached before: it changes how the application reads."""


LISTED = 1000
"""How many failed jobs are listed at most."""

Runner = Callable[[Sequence[str], bytes], tuple[int, bytes]]
"""Runs a command line with this input; its exit code and its output. Raises :class:`Refused` when it cannot."""
