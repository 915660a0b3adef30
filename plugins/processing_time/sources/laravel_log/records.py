# SPDX-License-Identifier: MIT
"""What a record of a Laravel log looks like: its header line, the time in it, its level, its message.

``[2026-03-29 03:10:00] production.ERROR: message {context} {extra}``, or the time in ISO 8601 with a fraction and
an offset. Lines below a header that have none of their own (a stack trace, a message with line breaks) belong to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

BOM = b"\xef\xbb\xbf"
UNORDERED = 300
"""Seconds by which a record may stand too late in its file: processes write side by side."""

CHANNEL = 110
"""Bytes that a channel and a level may have."""

_MINUTE = rb"\[\d{4}-\d\d-\d\d[ T]\d\d:\d\d:"
_STAMP = re.compile(rb"(%b)(\d\d)(?:[.,]\d{1,9})?(Z|[+-]\d\d(?::?\d\d)?)?" % _MINUTE)
_SECONDS = {b"%02d" % second: second for second in range(60)}
_CHANNEL = re.compile(rb"\S{1,100}\.(DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY)")
CRITICAL = ("CRITICAL", "ALERT", "EMERGENCY")
"""The levels of a record that is critical or worse."""

# A crash or a truncation leaves runs of NULs; the next record then stands right behind them, not on a new line.
_HEADER = re.compile(rb"(?<=[\n\0])(?:\xef\xbb\xbf)?(\[\d{4}-[^\]\n]{5,40}\] \S{1,110}):")
_BEHIND_NULS = re.compile(rb"(?<=\0)(?=\[\d{4}-)")
_JSON = json.JSONDecoder(strict=False)
_TRIES = 64
"""Brackets that are tried as the start of the context; a message that holds more is made to keep us busy."""


class Clock:
    """Reads the times of records, in the order of a file, as whole seconds since 1970.

    A plain time is in the application's zone. In autumn's double hour it is taken for the first of the two, until
    the times of the file run backwards by more than they do for lack of order.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._minute = lru_cache(maxsize=4096)(self._read_minute)
        self._last: tuple[bytes, int | None] = (b"", None)
        self._latest = 0
        self._repeated = False

    def second(self, stamp: bytes) -> int | None:
        """The time of the next record, from ``[2026-03-29 03:10:00``; ``None`` when that is no time."""
        if stamp == self._last[0]:
            return self._last[1]
        both = self._both(stamp)
        self._last = (stamp, None if both is None else self._choose(*both))
        return self._last[1]

    def first(self, stamp: bytes) -> int | None:
        """The same without regard to other records: of a double hour always the first."""
        both = self._both(stamp)
        return None if both is None else both[0]

    def _choose(self, early: int, late: int) -> int:
        if early == late:
            return early
        if early < self._latest - UNORDERED:
            self._repeated = True
        self._latest = max(self._latest, early)
        return late if self._repeated else early

    def _both(self, stamp: bytes) -> tuple[int, int] | None:
        if len(stamp) == 20:  # the usual one, of nothing but a date and a time
            minute, second, offset = stamp[:18], stamp[18:], b""
        elif match := _STAMP.fullmatch(stamp):
            minute, second, offset = match.group(1, 2, 3)
        else:
            return None
        both, past = self._minute(minute, offset or b""), _SECONDS.get(second)
        return None if both is None or past is None else (both[0] + past, both[1] + past)

    def _read_minute(self, minute: bytes, offset: bytes) -> tuple[int, int] | None:
        if not re.fullmatch(_MINUTE, minute):
            return None
        text = minute[1:-1] + offset
        try:
            written = datetime.fromisoformat(text.decode())
            if written.tzinfo is None:
                written = written.replace(tzinfo=self._zone)
            early, late = int(written.timestamp()), int(written.replace(fold=1).timestamp())
        except (ValueError, OverflowError):
            return None
        return early, max(early, late)  # in spring's missing hour the second reading would be the earlier one


def repeated(zone: ZoneInfo, second: int) -> int:
    """By how many seconds the wall clock goes back where the time of an instant comes twice in a zone; else 0."""
    local = datetime.fromtimestamp(second, zone)
    early, late = (local.replace(fold=fold).timestamp() for fold in (0, 1))
    return max(0, int(late - early))


@lru_cache(maxsize=1024)
def level(channel: bytes) -> str | None:
    """The level in ``production.ERROR``; ``None`` when that is not a channel and a level. Ask for short ones only."""
    match = _CHANNEL.fullmatch(channel)
    return match[1].decode() if match else None


def headers(block: bytes, clock: Clock) -> Iterator[tuple[int, int]]:
    """Where records start in a block that begins inside a line, and their times (:meth:`Clock.first`)."""
    if b"[" not in block:  # such as the zeros that a truncation leaves: the expression would try each of them
        return
    for match in _HEADER.finditer(block):
        stamp, _, channel = match[1].partition(b"] ")
        second = clock.first(stamp) if level(channel) else None
        if second is not None:
            yield match.start(), second


def pieces(lines: list[bytes], length: int) -> list[str]:
    """The record lines in physical lines, of which only the start is looked at, read as latin-1.

    They are more than one only where NULs lie between them.
    """
    # The bytes are not kept while the text is split: they are as much again.
    return str(_joined(lines, length), "latin-1").split("\n")


def _joined(lines: list[bytes], length: int) -> bytes:
    text = b"\n".join(lines)
    if b"\0" in text:
        lines = [line.rstrip(b"\0") for line in _BEHIND_NULS.sub(b"\n", text).split(b"\n")]
        text = b"\n".join(lines)
    if len(max(lines, key=len)) > length:
        text = b"\n".join(line[:length] for line in lines)
    return text


def message(text: str) -> str:
    """What a record says before its context, out of ``message {context} {extra}``.

    A message may hold brackets, even JSON. The context is the JSON that reaches to the end of the line, or that is cut
    off there because a value in it holds a line break.
    """
    start = -1
    for _ in range(_TRIES):
        curly, square = text.find(" {", start + 1), text.find(" [", start + 1)
        start = min(curly, square) if curly >= 0 and square >= 0 else max(curly, square)
        if start < 0 or _reaches_the_end(text, start):
            break
    return text[:start] if start >= 0 else text


def _reaches_the_end(plain: str, start: int) -> bool:
    """Whether nothing but JSON follows, the last of it perhaps cut off."""
    end = start
    try:
        while plain.startswith((" {", " ["), end):
            _, end = _JSON.raw_decode(plain, end + 1)
    except (ValueError, RecursionError):
        return plain.startswith(' {"', start) and plain.startswith(' {"', end)
    return not plain[end:].strip()


def iso(second: int) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(second, UTC).isoformat()
