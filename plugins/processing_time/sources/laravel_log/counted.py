# SPDX-License-Identifier: MIT
"""What one host's log holds, counted: on its way from the worker that can read the log to the one that adds them up."""

from __future__ import annotations

import binascii
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processing_time.sources.laravel_log.scanning import Tally


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of one reading; no text of the log is in them.

    :param sign: of what was asked; only counts of the same sign may be added.
    :param tallies: one for each mark of the plan.
    :param files: ``path``, ``bytes_read`` and ``id`` of each file.
    :param globs: how many files each pattern of names matches.
    :param newest: when the newest record was written, seconds since 1970; None when no plain file holds one.
    :param written: when any of the files was changed last.
    """

    sign: str
    tallies: Sequence[Tally]
    files: Sequence[Mapping[str, Any]]
    globs: Mapping[str, int]
    newest: int | None
    written: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, and few: seconds without a record take no room, numbers are in order."""
        return {
            "sign": self.sign,
            "tallies": [_tally_to_json(tally) for tally in self.tallies],
            "files": [dict(file) for file in self.files],
            "globs": dict(self.globs),
            "newest": self.newest,
            "written": self.written,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Counted:
        """The inverse of :meth:`to_json`."""
        return cls(**{**data, "tallies": [_tally_from_json(tally) for tally in data["tallies"]]})


def _tally_to_json(tally: Tally) -> dict[str, Any]:
    return {
        "since": tally.since,
        "newest": tally.newest,
        "series": _packed(tally.series),
        "numbers": _packed(array("d", sorted(tally.numbers))),
    }


def _tally_from_json(data: Mapping[str, Any]) -> Tally:
    return Tally.of(
        data["since"], data["newest"], _unpacked("H", data["series"]), _unpacked("d", data["numbers"])
    )


def _packed(values: array[Any]) -> str:
    if not values:
        return ""
    return binascii.b2a_base64(zlib.compress(_little(values)), newline=False).decode()


def _unpacked(kind: str, text: str) -> array[Any]:
    values = array(kind, zlib.decompress(binascii.a2b_base64(text)) if text else b"")
    return _little(values)


def _little(values: array[Any]) -> array[Any]:
    """The values as every machine reads them; and back."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values
