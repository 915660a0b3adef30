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
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from processing_time.sources.laravel_log.files import LINE, LogFile
from processing_time.sources.laravel_log.matching import Finder, Mark, Matcher
from processing_time.sources.laravel_log.records import CHANNEL, Clock, level, lines, repeated
from processing_time.sources.laravel_log.slices import Part, halves

_log = logging.getLogger(__name__)
WORTH_TWO = 192 << 20
"""Bytes from which on a second process is faster: it takes about 50 ms to start and 50 MiB are read meanwhile."""
_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is counted, and when: records from ``start`` up to ``end``, seconds since 1970.

    Numbers are kept of records from ``numbers_from`` on.
    """

    marks: tuple[Mark, ...]
    zone: str
    start: int
    end: int
    numbers_from: int

    @property
    def repeats(self) -> bool:
        """Whether the wall clock comes to a time twice in it, so that a record's neighbours decide about its time."""
        zone = ZoneInfo(self.zone)
        return any(repeated(zone, second) for second in (*range(self.start, self.end, 900), self.end))


class Tally:
    """Counts a second for each mark of a plan, and the numbers found."""

    def __init__(self, plan: Plan) -> None:
        self.counts = [array("I", bytes(4 * (plan.end - plan.start))) for _ in plan.marks]
        self.numbers = [array("d") for _ in plan.marks]

    def add(self, other: Tally) -> None:
        """Take over what another one counted."""
        for i, theirs in enumerate(other.counts):
            # As one large number each: none of their digits of 32 bits can overflow, and it is a hundred times faster.
            total = int.from_bytes(self.counts[i], sys.byteorder) + int.from_bytes(theirs, sys.byteorder)
            self.counts[i] = array("I", total.to_bytes(len(theirs) * theirs.itemsize, sys.byteorder))
            self.numbers[i].extend(other.numbers[i])


class Scanner:
    """Reads parts of files and counts."""

    def __init__(self, plan: Plan) -> None:
        self._start, self._end = plan.start, plan.end
        self._numbers_from = plan.numbers_from - plan.start
        self._zone = ZoneInfo(plan.zone)
        self._finder = Finder(plan.marks, every_record=plan.repeats)
        self.tally = Tally(plan)
        self._matcher = Matcher(plan.marks, self.tally.counts)

    def read(self, part: Part) -> None:
        """Count a part of a file."""
        clock = Clock(self._zone)
        for page, whole in part.file.pages(part.start, part.stop):
            self._page(page, whole, clock)

    def _page(self, page: bytes, whole: int, clock: Clock) -> None:
        done = 0
        for place in self._finder.places(page):
            if place <= done:
                continue  # a line that was looked at
            if place > whole:
                break
            start = page.rfind(b"\n", 0, place) + 1
            done = page.find(b"\n", place)
            if done < 0:
                done = len(page)
            line = page[start:done] if done - start <= LINE else page[start : start + LINE]
            if line[:1] == b"[" and b"\0" not in line:
                self._record(line, clock)
            else:
                for piece in lines(line):
                    self._record(piece, clock)

    def _record(self, line: bytes, clock: Clock) -> None:
        head, _, text = line.partition(b": ")
        stamp, _, channel = head.partition(b"] ")
        severity = level(channel) if len(channel) <= CHANNEL else None
        second = clock.second(stamp) if severity else None
        if severity is None or second is None or not self._start <= second < self._end:
            return
        at = second - self._start
        text = text.rstrip(b"\r")
        if not text.isascii():
            text = text.decode("utf-8", "replace").encode()  # the engine wants valid UTF-8
        certain, depends = self._matcher.marks(text, severity)
        for counts in certain:
            counts[at] += 1
        if depends:
            self._ask(depends, text, at)

    def _ask(self, depends: Iterable[int], text: bytes, at: int) -> None:
        for mark, number in self._matcher.ask(depends, text):
            self.tally.counts[mark][at] += 1
            if number is not None and at >= self._numbers_from:
                self.tally.numbers[mark].append(number)


def scan(plan: Plan, parts: Sequence[Part]) -> Tally:
    """Count all parts, with two processes where that pays.

    :raises PatternError: when a pattern cannot run on the engine.
    :raises SourceUnavailable: when a file cannot be read.
    """
    scanner = Scanner(plan)
    much = sum(part.size for part in parts if not part.file.packed) >= WORTH_TWO
    if not much or plan.repeats or len(os.sched_getaffinity(0)) < 2:
        _read_all(scanner, parts)
        return scanner.tally
    ours, theirs = halves(parts)
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
        tally, notes = pickle.loads(answer)  # noqa: S301  # from our own child
        scanner.tally.add(tally)
        for part, (bytes_read, shrunk) in zip(theirs, notes, strict=True):
            part.file.bytes_read += bytes_read
            part.file.shrunk |= shrunk
    else:
        _log.warning("The second process ended with %s; its part of the log is read here", process.returncode)
        _read_all(scanner, theirs)
    return scanner.tally


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
    pickle.dump((scanner.tally, notes), sys.stdout.buffer)
