# SPDX-License-Identifier: MIT
"""Where in a file a stretch of time lies: binary search on the times of its records.

Records may stand out of order by up to ``UNORDERED`` seconds; the stretch is read with such a margin on both sides.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from processing_time.model import SourceUnavailable
from processing_time.sources.laravel_log.files import CHUNK, LINE, LogFile, packed_otherwise
from processing_time.sources.laravel_log.records import UNORDERED, Clock, headers, repeated

_PROBE = 1 << 12
_HEADER = 256
"""No header is longer: blocks that overlap by so much miss none."""


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a file from the start of one line to the start of another one, or to the end."""

    file: LogFile
    start: int
    stop: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.stop - self.start


def parts(files: Iterable[LogFile], zone: ZoneInfo, start: int, end: int) -> list[Part]:
    """What has to be read of each file to see every record from ``start`` up to ``end`` (seconds since 1970).

    :raises SourceUnavailable: when a file that may hold some cannot be unpacked.
    """
    clock = Clock(zone)
    margin = min(max((end - start) // 50, 60), UNORDERED)
    # Where the wall clock repeats itself, a record of its second round looks too early: begin before the first.
    start -= margin + 2 * repeated(zone, start - margin)
    end += margin
    found = []
    for file in files:
        if packed_otherwise(file) and os.fstat(file.fd).st_mtime >= start:
            raise SourceUnavailable(
                f"application.logs: {file.path} is packed, but not with gzip, and may hold records of this time: let"
                " logrotate pack with gzip"
            )
        if not file.packed:
            found.append(Part(file, _locate(file, clock, start)[0], _locate(file, clock, end)[1]))
        elif not _elsewhere(file, clock, start, end):
            found.append(Part(file, 0, file.size))
    return [part for part in found if part.size]


def newest(file: LogFile, zone: ZoneInfo) -> int | None:
    """The time of the newest record near the end of a plain file; ``None`` when it holds none."""
    clock = Clock(zone)
    stop = file.size
    while stop > 0:
        at = max(0, stop - CHUNK)
        block = file.read(at, stop - at + _HEADER)
        found = [second for _, second in headers(block if at else b"\n" + block, clock)]
        if found:
            return max(found)
        stop = at
    return None


def halves(whole: Iterable[Part], ahead: int) -> tuple[list[Part], list[Part]]:
    """Two lists, the first larger by some bytes. Packed files cannot be cut and stay in the first."""
    ours = [part for part in whole if part.file.packed]
    plain = [part for part in whole if not part.file.packed]
    theirs: list[Part] = []
    room = (sum(part.size for part in plain) + ahead) // 2
    for part in plain:
        cut = part.file.line_start(part.start + room, part.stop) if room else part.start
        ours.append(Part(part.file, part.start, cut))
        theirs.append(Part(part.file, cut, part.stop))
        room = max(0, room - part.size)
    return [p for p in ours if p.size], [p for p in theirs if p.size]


def _locate(file: LogFile, clock: Clock, second: int) -> tuple[int, int]:
    """A record before an instant, or the start; the first record found that is not before it, or the end.

    What lies between the two is at most a probe and a record.
    """
    before, after, high = 0, file.size, file.size
    while high - before > _PROBE:
        middle = (before + high) // 2
        position, time = next(_records(file, clock, middle, high), (after, second))
        if time < second:
            before = position
        else:
            after, high = position, middle
    return before, after


def _records(file: LogFile, clock: Clock, at: int, stop: int) -> Iterator[tuple[int, int]]:
    """Records that start between two offsets, with their times; those that cross the end of a block are left out."""
    size = _PROBE
    while at < stop:
        begin = at - 1 if at else 0
        lead = b"" if at else b"\n"
        for offset, second in headers(lead + file.read(begin, size + 1), clock):
            if (position := begin + offset - len(lead)) < stop:
                yield position, second
        at, size = at + size, CHUNK


def _elsewhere(file: LogFile, clock: Clock, start: int, end: int) -> bool:
    """Whether a packed file surely holds nothing of a stretch: begun after its end, or last written before its start."""
    _, first = next(headers(b"\n" + file.read(0, LINE), clock), (0, None))
    if first is None:
        return False
    written = os.fstat(file.fd).st_mtime
    return first >= end or first <= written < start
