# SPDX-License-Identifier: MIT
"""Counting: how often each mark was seen in each second of a stretch of time, with a second process for much log.

Run as a module it is that second process. It is a fresh one, as a copy (fork) of a task with threads may hang, and
it gets open files, not names, so a rotation does not part the two.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import zlib
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from processing_time.sources.laravel_log.files import LINE, LogFile
from processing_time.sources.laravel_log.matching import Answer, Finder, Group, Mark, Memo
from processing_time.sources.laravel_log.records import BOM, CHANNEL, Clock, level, pieces, repeated
from processing_time.sources.laravel_log.slices import Part, halves

_log = logging.getLogger(__name__)
WORTH_TWO = 160 << 20
"""Bytes from which on a second process is faster."""
_PAGES = 16
"""Pages after which what was seen in them is added up, so that memory stays flat."""
_BOM = str(BOM, "latin-1")
_AHEAD = 64 << 20
"""Bytes that are read while the second process starts."""
_MOST = (1 << 15) - 1
_AT_ONCE = 1 << 16
"""Seconds that are added up at once, so that memory stays flat."""
_NEVER = -(1 << 40)
_SECONDS = defaultdict(lambda: _NEVER, {f"{second:02}": second for second in range(60)})
"""Of a minute; what is none makes a time that no plan holds."""
_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is counted, and when: records from ``start`` up to ``end``, seconds since 1970.

    :ivar edges: what is seen is counted from each of these seconds on, up to ``end``.
    :ivar series_from: for each mark, from when on every second is counted for itself, or ``None``.
    :ivar numbers_from: numbers are kept of records from then on.
    """

    marks: tuple[Mark, ...]
    zone: str
    start: int
    end: int
    edges: tuple[int, ...]
    series_from: tuple[int | None, ...]
    numbers_from: int

    @property
    def repeats(self) -> bool:
        """Whether the wall clock comes to a time twice in it, so that a record's neighbours decide about its time."""
        zone = ZoneInfo(self.zone)
        return any(repeated(zone, second) for second in (*range(self.start, self.end, 900), self.end))


class Tally:
    """What was counted of one mark.

    :ivar since: how often it was seen, for each of the plan's edges.
    :ivar newest: when it was seen last.
    :ivar series: how often in each second, where the plan wants that; :data:`_MOST` and more are the same.
    :ivar numbers: those found.
    """

    def __init__(self, plan: Plan, series_from: int | None) -> None:
        self._edges = plan.edges
        self._first = plan.end if series_from is None else series_from
        self.since = [0] * len(plan.edges)
        self.newest: int | None = None
        self.series = array("H", bytes(2 * (plan.end - self._first)))
        self.numbers = array("d")

    @classmethod
    def of(cls, since: list[int], newest: int | None, series: array[int], numbers: array[float]) -> Tally:
        """One that was counted elsewhere, to be added to another one."""
        tally = cls.__new__(cls)
        tally.since, tally.newest, tally.series, tally.numbers = since, newest, series, numbers
        return tally

    def note(self, times: list[int]) -> None:
        """Count records seen at some seconds."""
        if not times:
            return
        times.sort()
        self.newest = _later(self.newest, times[-1])
        for i, edge in enumerate(self._edges):
            self.since[i] += len(times) - bisect_left(times, edge)
        if self.series:
            for second in times[bisect_left(times, self._first) :]:
                at = second - self._first
                self.series[at] = min(self.series[at] + 1, _MOST)

    def add(self, other: Tally) -> None:
        """Take over what another one counted of the same."""
        self.since = [ours + theirs for ours, theirs in zip(self.since, other.since, strict=True)]
        self.newest = _later(self.newest, other.newest)
        for at in range(0, len(self.series), _AT_ONCE):
            here = slice(at, at + _AT_ONCE)
            self.series[here] = _sum(_bounded(self.series[here]), _bounded(other.series[here]))
        self.numbers.extend(other.numbers)

    def __getstate__(self) -> dict[str, object]:
        """For the way between processes: seconds without a record take no room."""
        return {**vars(self), "series": zlib.compress(self.series, 1)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpack again."""
        vars(self).update(state, series=array("H", zlib.decompress(state["series"])))


def _sum(ours: array[int], theirs: array[int]) -> array[int]:
    """As one large number each, which is a hundred times faster: no digit of 16 bits can overflow."""
    total = int.from_bytes(ours, sys.byteorder) + int.from_bytes(theirs, sys.byteorder)
    return array("H", total.to_bytes(len(ours) * 2, sys.byteorder))


def _bounded(series: array[int]) -> array[int]:
    return series if max(series, default=0) <= _MOST else array("H", (min(n, _MOST) for n in series))


def _later(one: int | None, other: int | None) -> int | None:
    return max((second for second in (one, other) if second is not None), default=None)


class Scanner:
    """Reads parts of files and counts.

    Lines are gathered from some pages and then counted column by column, which is faster than one by one. Their bytes
    are read as latin-1, a character a byte: Python is several times faster with these.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._in_order = plan.repeats
        self._finder = Finder(plan.marks, every_record=self._in_order)
        self._groups = [Group(plan.marks, indices) for indices in self._finder.groups]
        self._lines: list[list[bytes]] = [[] for _ in self._groups]
        self._clock = Clock(ZoneInfo(plan.zone))
        self._minutes = Memo(self._minute)
        self._levels = Memo(_level)
        self.tallies = [Tally(plan, first) for first in plan.series_from]

    def read(self, part: Part) -> None:
        """Count a part of a file."""
        self._clock = Clock(ZoneInfo(self._plan.zone))
        for number, (page, whole) in enumerate(part.file.pages(part.start, part.stop), 1):
            self._gather(page, whole)
            if number % _PAGES == 0:
                self._count()
        self._count()

    def _gather(self, page: bytes, whole: int) -> None:
        """Take the lines of a page that may matter, for each group once."""
        if whole == len(page) and not page.endswith(b"\n"):
            page += b"\n"
        before, behind = page.rfind, page.find
        for lines, places in zip(self._lines, self._finder.places(page), strict=True):
            # From one place to the next: a line of many must not be searched for its start from each of them.
            ends = [before(b"\n", last, place) for last, place in pairwise([0, *places])]
            starts = [end + 1 for i, end in enumerate(ends) if end >= 0 or not i]
            lines += [page[start : behind(b"\n", start)] for start in starts if start < whole]

    def _count(self) -> None:
        """Count what was gathered."""
        start, end = self._plan.start, self._plan.end
        seen: list[list[int]] = [[] for _ in self._plan.marks]
        for group, lines in zip(self._groups, self._lines, strict=True):
            if not lines:
                continue
            records = [line.partition(": ") for line in pieces(lines, LINE)]
            texts = [text for _, _, text in records]
            seconds, levels = self._times([header for header, _, _ in records])
            for answer, second, text in zip(group.answers(levels, texts), seconds, texts, strict=True):
                if start <= second < end:
                    answer.times.append(second)
                    if answer.questions:
                        self._settle(group, answer, second, text, seen)
            for answer in group.given:
                for mark in answer.certain:
                    seen[mark] += answer.times
                answer.times.clear()
            lines.clear()
        for tally, times in zip(self.tallies, seen, strict=True):
            tally.note(times)

    def _settle(self, group: Group, answer: Answer, second: int, text: str, seen: list[list[int]]) -> None:
        for question in answer.questions:
            bears, number = group.settle(question, text)
            if bears:
                seen[question.mark].append(second)
                if number is not None and second >= self._plan.numbers_from:
                    self.tallies[question.mark].numbers.append(number)

    def _times(self, headers: list[str]) -> tuple[list[int], list[str]]:
        """When records are from, :data:`_NEVER` when they are none, and their levels."""
        known, minutes = self._levels, self._minutes
        levels = [known[header[20:]] for header in headers]
        if "" in levels or self._in_order:  # some are not of the usual form
            both = [self._header(header) for header in headers]
            return [second for second, _ in both], [level for _, level in both]
        return [minutes[header[:18]] + _SECONDS[header[18:20]] for header in headers], levels

    def _header(self, header: str) -> tuple[int, str]:
        stamp, _, channel = header.removeprefix(_BOM).partition("] ")
        severity = level(channel.encode("latin-1")) if len(channel) <= CHANNEL else None
        second = self._clock.second(stamp.encode("latin-1")) if severity else None
        return (_NEVER, "") if second is None else (second, severity or "")

    def _minute(self, stamp: str) -> int:
        second = self._clock.second(stamp.encode("latin-1") + b"00")
        return _NEVER if second is None else second


def _level(rest: str) -> str:
    """The level at the end of a header of the usual form, behind the time; empty when it has another form."""
    plain = rest.startswith("] ") and len(rest) <= CHANNEL
    return (level(rest[2:].encode("latin-1")) or "") if plain else ""


def scan(plan: Plan, parts: Sequence[Part]) -> list[Tally]:
    """Count all parts, with two processes where that pays.

    :raises PatternError: when a pattern cannot run on the engine.
    :raises SourceUnavailable: when a file cannot be read.
    """
    scanner = Scanner(plan)
    much = sum(part.size for part in parts if not part.file.packed) >= WORTH_TWO
    if not much or plan.repeats or len(os.sched_getaffinity(0)) < 2:
        _read_all(scanner, parts)
        return scanner.tallies
    ours, theirs = halves(parts, _AHEAD)
    with _helper([part.file.fd for part in theirs]) as process:
        assert process.stdin
        assert process.stdout
        with (
            suppress(BrokenPipeError),
            process.stdin as order,
        ):  # it may have died: then its part is ours, too
            pickle.dump(
                (plan, [(p.file.path, p.file.fd, p.file.size, p.start, p.stop) for p in theirs]), order
            )
        _read_all(scanner, ours)
        answer = process.stdout.read()
    if process.returncode == 0:
        tallies, notes = pickle.loads(answer)  # noqa: S301  # from our own child
        for tally, packed in zip(scanner.tallies, tallies, strict=True):
            tally.add(pickle.loads(packed))  # noqa: S301  # one at a time, for memory's sake
        for part, (bytes_read, shrunk) in zip(theirs, notes, strict=True):
            part.file.bytes_read += bytes_read
            part.file.shrunk |= shrunk
    else:
        _log.warning("The second process ended with %s; its part of the log is read here", process.returncode)
        _read_all(scanner, theirs)
    return scanner.tallies


def _read_all(scanner: Scanner, parts: Iterable[Part]) -> None:
    for part in parts:
        scanner.read(part)


def _helper(descriptors: list[int]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(  # noqa: S603  # nothing in the list comes from outside
        [sys.executable, "-c", f"from {__name__} import help_out; help_out()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=descriptors,
        env={**os.environ, "PYTHONPATH": path},
    )


def help_out() -> None:
    """The second process: counts the parts named on standard input, answers on standard output."""
    plan, order = pickle.load(sys.stdin.buffer)  # noqa: S301  # from our own parent
    scanner = Scanner(plan)
    parts = [Part(LogFile(path, fd, size), start, stop) for path, fd, size, start, stop in order]
    _read_all(scanner, parts)
    notes = [(part.file.bytes_read, part.file.shrunk) for part in parts]
    pickle.dump(([pickle.dumps(tally) for tally in scanner.tallies], notes), sys.stdout.buffer)
