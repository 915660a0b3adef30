# SPDX-License-Identifier: MIT
"""What the incident actions ask of the application itself, where ``php artisan`` runs.

A table of commands, and nothing else: ids are whole numbers or UUIDs, no text of a person reaches a command line. Where
the command runs is left to a :data:`Runner`: on this machine (``artisan_local``) or over SSH (``artisan_ssh``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

from processing_time.incident.action import Refused
from processing_time.incident.artisan_location import Location
from processing_time.incident.artisan_output import tail
from processing_time.settings import ROOT

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


class Interrupted(Exception):
    """A command was started, and how much of it was done is not known. The text is one sentence."""


class CommandFailed(Refused):
    """A command was started and did not end well; ``ran`` says how (its exit code is -1 where that is not known)."""

    def __init__(self, sentence: str, ran: Ran) -> None:
        super().__init__(sentence)
        self.ran = ran


@dataclass(frozen=True, slots=True)
class FlagFile:
    """The flags that a switch sets in the application's ``.env``, before and after it; no other line of that file.

    :param before: raw values by key as the application's own parser reads them; a missing key is None.
    :param after: what they are once it is switched.
    :param toggle: whether the master toggle is on then, as Laravel reads such a value.
    :param listed: whether services are whitelisted then.
    :param saved: the time of the backup that ``enable`` goes back to, UTC in ISO 8601, else None.
    :param config_cached: the application reads a cached configuration, so ``.env`` alone changes nothing.
    :param also_changes: names in the configuration that caching it anew would change besides the flags; 20, and how many more.
    """

    before: Mapping[str, str | None]
    after: Mapping[str, str | None]
    toggle: bool
    listed: bool
    saved: str | None
    config_cached: bool
    also_changes: Sequence[str]


class Artisan(Protocol):
    """The application's own commands. Each raises :class:`CommandFailed`, or :class:`Refused` when it cannot be run."""

    def features(self) -> Mapping[str, Any]:
        """What ``config('features')`` holds under ``processing_time_…``, whatever ``.env`` says."""

    def observer_registered(self) -> bool:
        """Whether the phase observer listens to created appointments."""

    def failed_sync_jobs(self) -> tuple[str, ...]:
        """Ids of the failed jobs of the sync class, newest first; at most :data:`LISTED`."""

    def retry(self, job_ids: Sequence[str]) -> Ran:
        """``queue:retry`` for these failed jobs, :data:`CHUNK` at most."""

    def create_phases(self, appointment_ids: Sequence[str]) -> Mapping[str, str]:
        """Let the application's service make the missing phases, of :data:`CHUNK` appointments at most.

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
"""How many failed jobs are listed at most; include/artisan/processing_time.php holds the same number."""

Runner = Callable[[Sequence[str], bytes], tuple[int, bytes]]
"""Runs a command line with this input; its exit code and its output.

Raises :class:`Refused` when it cannot be started, :class:`Interrupted` when it was and nobody knows how it ended.
"""

PROGRAM = ROOT / "include" / "artisan" / "processing_time.php"
MARKER = b"processing-time: "
CHUNK = 100
"""Ids that are given to one command at most: a command line is bounded, and so is what an interruption costs."""

_ID = re.compile(r"[0-9]{1,20}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SUCCESS = {"cache:clear": "cache cleared", "config:cache": "cached successfully", "queue:retry": ""}
"""What a command that worked says: some versions of Laravel end with 0 when it did not."""


class PhpArtisan:
    """:class:`Artisan` by ``php``: Laravel's own commands, and ``include/artisan/processing_time.php`` for the rest.

    That program is fed through the input, so nothing has to be installed; unlike ``artisan tinker`` it needs no
    package of developers and no writable home, takes its ids as arguments, and ends with a code that means something.

    :param run: where it runs.
    """

    def __init__(self, run: Runner, location: Location) -> None:
        self._run = run
        self._location = location

    def features(self) -> Mapping[str, Any]:
        """See :class:`Artisan`."""
        return self._ask("features")

    def observer_registered(self) -> bool:
        """See :class:`Artisan`."""
        return bool(self._ask("observer")["registered"])

    def failed_sync_jobs(self) -> tuple[str, ...]:
        """See :class:`Artisan`."""
        return checked_ids(self._ask("failed-syncs")["ids"])

    def retry(self, job_ids: Sequence[str]) -> Ran:
        """See :class:`Artisan`."""
        return self._artisan("queue:retry", *checked_ids(job_ids))

    def create_phases(self, appointment_ids: Sequence[str]) -> Mapping[str, str]:
        """See :class:`Artisan`."""
        outcomes: Mapping[str, str] = self._ask("create-phases", *checked_ids(appointment_ids))["outcomes"]
        return outcomes

    def clear_cache(self) -> Ran:
        """See :class:`Artisan`."""
        return self._artisan("cache:clear")

    def flags(self, switch: Switch) -> FlagFile:
        """See :class:`Artisan`."""
        return FlagFile(**self._ask("flags", switch))

    def set_flags(self, switch: Switch) -> FlagFile:
        """See :class:`Artisan`."""
        return FlagFile(**self._ask("set-flags", switch))

    def rebuild_config(self) -> Ran:
        """See :class:`Artisan`."""
        return self._artisan("config:cache")

    def _artisan(self, command: str, *ids: str) -> Ran:
        line = [self._location.php, f"{self._location.path}/artisan", command, *ids]
        exit_code, output = self._call(command, line, b"")
        ran = Ran(command, exit_code, tail(output))
        if exit_code or _SUCCESS[command] not in ran.output.lower():
            raise CommandFailed(
                f"php artisan {command} did not work (exit code {exit_code}): see its output in the audit row",
                ran,
            )
        return ran

    def _ask(self, command: str, *arguments: str) -> dict[str, Any]:
        """The answer of our program; its errors are sentences of its own."""
        line = [self._location.php, "--", self._location.path, command, *arguments]
        exit_code, output = self._call(command, line, PROGRAM.read_bytes())
        ran = Ran(command, exit_code, "")
        answers = [part for part in output.splitlines() if part.startswith(MARKER)]
        if not answers:
            raise CommandFailed(
                f"{self._location.php} gave no answer to {command} (exit code {exit_code}): check php and path in the"
                " extra of processing_time_laravel, and run php artisan there by hand",
                replace(ran, output=tail(output)),
            )
        answer: dict[str, Any] = json.loads(answers[-1].removeprefix(MARKER))
        if "error" in answer:
            raise CommandFailed(f"the application refuses {command}: {answer['error']}", ran)
        return answer

    def _call(self, command: str, line: Sequence[str], given: bytes) -> tuple[int, bytes]:
        try:
            return self._run(line, given)
        except Interrupted as interrupted:
            raise CommandFailed(f"{command}: {interrupted}", Ran(command, -1, "")) from None


def too_slow(timeout: float) -> Interrupted:
    """What a runner raises when a command was killed after so many seconds."""
    return Interrupted(
        f"the command did not end within {timeout:g} s and was killed: look at the application, or raise"
        " command_timeout in the extra of processing_time_laravel"
    )


def checked_ids(ids: Iterable[str]) -> tuple[str, ...]:
    """The ids as they are, once each.

    :raises Refused: when one is neither a whole number nor a UUID.
    """
    found = tuple(dict.fromkeys(ids))
    for id_ in found:
        if not _ID.fullmatch(id_):
            raise Refused(f"{id_[:40]!r} is not an id: write a whole number or a UUID")
    return found
