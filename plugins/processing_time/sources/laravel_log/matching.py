# SPDX-License-Identifier: MIT
"""What records hold: all patterns of all metrics and rules in one pass, on an engine that does not backtrack.

Two steps. :class:`Finder` looks for one telling text of each mark in whole pages, to find the few lines that matter.
:class:`Matcher` then runs all patterns over the text of such a record at once.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import hyperscan

from processing_time.sources.laravel_log.records import CRITICAL, message

_REGEX = "regex:"
_KEPT = 1000
"""Answers that are kept, so that records that are alike are cheap and memory stays flat."""
_SHORT = 512

Counts: TypeAlias = "array[int]"
"""How often a mark was seen, a second a number."""


class PatternError(ValueError):
    """A pattern cannot run on the engine; the text says which one and what to do."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that a record may hold.

    :param name: for people; two marks that ask for the same are equal, whatever their names.
    :param all_of: patterns, literals or ``regex:…``, that the record's text (``message {context}``) has to hold.
    :param message_any_of: patterns of which the message, before the context, has to hold one.
    :param value: a regular expression whose one group has to find a number.
    :param critical: instead of ``all_of``: the record's level is CRITICAL or worse.
    """

    name: str = field(compare=False)
    all_of: tuple[str, ...] = ()
    message_any_of: tuple[str, ...] = ()
    value: str | None = None
    critical: bool = False


class Finder:
    """Finds in a page the places that records with a mark cannot do without."""

    def __init__(self, marks: Sequence[Mark], every_record: bool) -> None:
        texts = {text for mark in marks for text in _telling(mark)}
        fewest = {text for text in texts if not any(other != text and other in text for other in texts)}
        expressions = [_escaped(text) for text in sorted(fewest)]
        if every_record or "" in texts:
            expressions = [rb"\[\d{4}-\d\d-\d\d"]
        self._scan = _scanner(expressions, 0)
        self._ends: list[int] = []
        append = self._ends.append
        self._note = lambda _id, _start, end, _flags, _context: append(end)

    def places(self, page: bytes) -> list[int]:
        """Offsets into the page, rising; valid until the next call."""
        self._ends.clear()
        self._scan(page, self._note)
        self._ends.sort()
        return self._ends


class Matcher:
    """Tells which marks a record's text bears.

    :param counts: what stands for each mark in the answers.
    :raises PatternError: when a pattern needs look-around or back-references.
    """

    def __init__(self, marks: Sequence[Mark], counts: Sequence[Counts]) -> None:
        for mark in marks:
            _check(mark)
        self._marks = marks
        self._counts = counts
        self._patterns = sorted({p for mark in marks for p in (*mark.all_of, *mark.message_any_of)})
        self._numbers = [_Number(mark.value) if mark.value else None for mark in marks]
        flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_UTF8
        self._scan = _scanner([_expression(pattern) for pattern in self._patterns], flags)
        self._seen: list[int] = []
        append = self._seen.append
        self._note = lambda pattern, _start, _end, _flags, _context: append(pattern)
        self._judged: dict[tuple[object, ...], tuple[tuple[Counts, ...], tuple[int, ...]]] = {}
        self._found: dict[bytes, set[str]] = {}

    def marks(self, text: bytes, severity: bytes) -> tuple[tuple[Counts, ...], tuple[int, ...]]:
        """The counts of the marks that a record bears; the indices of those that :meth:`ask` has to decide about.

        :param text: what follows the level on the record's first line, in valid UTF-8.
        :param severity: its level, such as ``ERROR``.
        """
        self._seen.clear()
        self._scan(text, self._note)
        key = (severity, *self._seen)
        judged = self._judged.get(key)
        if judged is None:
            _forget(self._judged)
            judged = self._judged[key] = self._judge(severity, {self._patterns[i] for i in self._seen})
        return judged

    def ask(self, depends: Iterable[int], text: bytes) -> Iterator[tuple[int, float | None]]:
        """Those of the marks that the record bears after all, with the number that belongs to a mark, if one does."""
        for i in depends:
            words = self._marks[i].message_any_of
            if words and not self._says(text, words):
                continue
            number = self._numbers[i]
            found = number.find(text) if number else None
            if number is None or found is not None:
                yield i, found

    def _says(self, text: bytes, words: Sequence[str]) -> bool:
        """Whether the message holds one of the words. Where it ends is only asked when that makes a difference."""
        surely = text.partition(b" {")[0].partition(b" [")[0]
        return not self._find(surely).isdisjoint(words) or not self._find(message(text)).isdisjoint(words)

    def _find(self, text: bytes) -> set[str]:
        """The patterns that a message holds: messages are few, what varies is in the context."""
        found = self._found.get(text)
        if found is None:
            self._seen.clear()
            self._scan(text, self._note)
            found = {self._patterns[i] for i in self._seen}
            if len(text) <= _SHORT:
                _forget(self._found)
                self._found[text] = found
        return found

    def _judge(self, severity: bytes, found: set[str]) -> tuple[tuple[Counts, ...], tuple[int, ...]]:
        bears = [
            i
            for i, mark in enumerate(self._marks)
            if (severity in CRITICAL if mark.critical else mark.all_of and found.issuperset(mark.all_of))
            and (not mark.message_any_of or found.intersection(mark.message_any_of))
        ]
        depends = tuple(i for i in bears if self._marks[i].message_any_of or self._marks[i].value)
        return tuple(self._counts[i] for i in bears if i not in depends), depends


class _Number:
    """A regular expression's one group as a number.

    The engine has no groups but finds where a match lies; only there Python's own takes the group, so that a text
    that does not match cannot make it backtrack.
    """

    def __init__(self, pattern: str) -> None:
        flags = hyperscan.HS_FLAG_SOM_LEFTMOST | hyperscan.HS_FLAG_UTF8
        self._scan = _scanner([pattern.encode()], flags)
        self._pattern = re.compile(pattern)
        self._limits: list[int] = []
        extend = self._limits.extend
        self._note = lambda _id, start, end, _flags, _context: extend((start, end))

    def find(self, text: bytes) -> float | None:
        """The first match's number; ``None`` without a match or when it is no finite number."""
        self._limits.clear()
        self._scan(text, self._note)
        if not self._limits:
            return None
        match = self._pattern.match(text[min(self._limits) : max(self._limits)].decode())
        try:
            number = float(match[1]) if match else math.nan
        except (TypeError, ValueError):
            return None
        return number if math.isfinite(number) else None


def _telling(mark: Mark) -> list[str]:
    """The texts of which a record with the mark holds at least one; an empty one when no such text is known.

    Of all patterns the longest literal is the rarest. A regular expression gives one where only ``.*`` stands between
    plain texts; beside any other kind, put a literal: it makes the reading ten times faster.
    """
    if mark.critical:
        return [f".{level.decode()}:" for level in CRITICAL]
    pieces = [""]
    for pattern in mark.all_of:
        literals = pattern.removeprefix(_REGEX).split(".*") if pattern.startswith(_REGEX) else []
        if not pattern.startswith(_REGEX):
            pieces.append(pattern)
        elif all(re.fullmatch(r"[\w :/-]*", piece) for piece in literals):
            pieces += literals
    return [max(pieces, key=len)] if mark.all_of else []


def _expression(pattern: str) -> bytes:
    return pattern.removeprefix(_REGEX).encode() if pattern.startswith(_REGEX) else _escaped(pattern)


def _escaped(text: str) -> bytes:
    """A literal as a regular expression."""
    return "".join(c if c.isalnum() or not c.isascii() else f"\\x{ord(c):02x}" for c in text).encode()


def _check(mark: Mark) -> None:
    """Compile the regular expressions of a mark one by one, to name the one that is at fault."""
    regexes = [p for p in (*mark.all_of, *mark.message_any_of) if p.startswith(_REGEX)]
    for pattern in regexes + ([mark.value] if mark.value else []):
        try:
            _scanner([_expression(pattern)], hyperscan.HS_FLAG_UTF8)
        except hyperscan.HyperscanError as error:
            raise PatternError(
                f"{mark.name}: {pattern!r} does not run on an engine without backtracking ({error}): "
                "write it without look-around and back-references"
            ) from None


def _forget(kept: dict[Any, Any]) -> None:
    """Make room for another answer."""
    if len(kept) >= _KEPT:
        kept.clear()


def _scanner(expressions: list[bytes], flags: int) -> Callable[[bytes, Callable[..., None]], None]:
    """What runs expressions over a text and calls back with the number of one, and where it matches."""
    if not expressions:
        return lambda _text, _note: None
    database = hyperscan.Database()
    numbers = list(range(len(expressions)))
    database.compile(expressions=expressions, ids=numbers, flags=[flags] * len(expressions))
    scan: Callable[[bytes, Callable[..., None]], None] = database.scan
    return scan
