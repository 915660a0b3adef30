# SPDX-License-Identifier: MIT
"""Where ``php artisan`` is: the extra of the connection ``processing_time_laravel``, validated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from processing_time.incident.action import Refused

LONGEST = 600
"""Seconds; a command that takes longer than this is none for a task that a person waits for."""
_KEYS = "the extra of the connection processing_time_laravel"


@dataclass(frozen=True, slots=True)
class Location:
    """Where the application is.

    :param path: the directory that holds ``artisan``.
    :param php: the program, by name or path.
    :param timeout: seconds that one command may take.
    """

    path: str
    php: str = "php"
    timeout: int = 120

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any]) -> Self:
        """From ``path``, ``php`` and ``command_timeout``; other keys belong to others.

        :raises Refused: when one of them cannot be used.
        """
        path, php = str(extra.get("path", "")).rstrip("/"), str(extra.get("php", "php"))
        timeout = str(extra.get("command_timeout", "120"))
        if not re.fullmatch(r"(?:/[A-Za-z0-9_.][A-Za-z0-9_.-]*)+", path):
            raise Refused(
                f"path = {path[:80]!r} in {_KEYS} is not a directory such as /srv/app: name the one that holds artisan"
            )
        if not re.fullmatch(r"/?[A-Za-z0-9_.][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.-]*)*", php):
            raise Refused(
                f"php = {php[:80]!r} in {_KEYS} is not a program: write php or a path such as /usr/bin/php8.3"
            )
        if not re.fullmatch(r"[0-9]{1,4}", timeout) or not 1 <= int(timeout) <= LONGEST:
            raise Refused(
                f"command_timeout = {timeout[:20]!r} in {_KEYS} is not a time: write whole seconds up to {LONGEST}"
            )
        return cls(path, php, int(timeout))
