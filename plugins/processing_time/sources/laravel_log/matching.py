# SPDX-License-Identifier: MIT
"""What records hold: all patterns of all metrics and rules in one pass, on an engine that does not backtrack.

Two steps. :class:`Finder` looks for one telling text of each mark in whole pages, to find the few lines that matter,
and tells which marks each may bear. :class:`Matcher` then asks such a record for those: for literals as Python does,
which is the fastest for a short text, for all regular expressions at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from typing import Any

import hyperscan

from processing_time.sources.laravel_log.records import CRITICAL, message

_REGEX = "regex:"
_SHORT = 512
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_TELLING = 4
"""Letters from which on a text that tells of several marks is better than one for each of them."""
_NOTHING: frozenset[str] = frozenset()
_LARGEST = 1e15
"""No measurement is as large; the sum of some such numbers would not be finite."""


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
    """Finds in a page the places that records with a mark cannot do without.

    :param every_record: find every record there is.
    :ivar groups: the marks, as indices, that the same texts are telling of; each mark is in one group.
    """

    def __init__(self, marks: Sequence[Mark], every_record: bool) -> None:
        groups = _groups(marks)
        if every_record or ("",) in groups:
            self.groups = [[*range(len(marks))]]
            expressions = [(rb"\[\d{4}-\d\d-\d\d", 0)]
        else:
            self.groups = list(groups.values())
            expressions = [(_escaped(text), number) for number, texts in enumerate(groups) for text in texts]
        self._scan = _scanner(expressions)
        self._found: list[list[int]] = [[] for _ in self.groups]
        append = [found.append for found in self._found]
        self._note = lambda group, _start, end, _flags, _context: append[group](end)

    def places(self, page: bytes) -> list[list[int]]:
        """Offsets into the page, rising, for each group those that tell of it; valid until the next call."""
        for found in self._found:
            found.clear()
        self._scan(page, self._note)
        for found in self._found:
            found.sort()
        return self._found


@dataclass(slots=True)
class Answer:
    """What a record's level, literals and message say about the marks of a group.

    :ivar certain: marks that it bears.
    :ivar questions: what has to be asked about others.
    :ivar times: when there were such records; for the caller.
    """

    certain: tuple[int, ...]
    questions: tuple[Question, ...]
    times: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """What a record's text has to hold, beside what is known of it, to bear a mark.

    :ivar regexes: all of these.
    :ivar words: one of these in its message, if there are any.
    :ivar number: a number here.
    """

    mark: int
    regexes: frozenset[str]
    words: frozenset[str]
    number: _Number | None


class Group:
    """Marks of which the same text is telling, and what decides about them.

    Texts are bytes read as latin-1, a character a byte: Python is several times faster with these.

    :raises PatternError: when a pattern needs look-around or back-references.
    """

    def __init__(self, marks: Sequence[Mark], indices: Sequence[int]) -> None:
        self._marks = {i: marks[i] for i in indices}
        words = {p for mark in self._marks.values() for p in mark.message_any_of}
        patterns = words.union(*(mark.all_of for mark in self._marks.values()))
        self._regexes = frozenset(p for p in patterns if p.startswith(_REGEX))
        self._names = sorted(patterns - self._regexes)
        self._literals = [_latin(name) for name in self._names]
        self._wordy = bool(words | self._regexes)
        try:
            self._numbers = {i: _Number(mark.value) for i, mark in self._marks.items() if mark.value}
            self._telling = _Patterns(words | self._regexes)
        except hyperscan.HyperscanError:
            raise _at_fault(self._marks.values()) from None
        self._said = Memo(self._find_said)
        self._answers = Memo(self._judge, kept=None)

    @property
    def given(self) -> Iterable[Answer]:
        """All answers that were given so far."""
        return self._answers.values()

    def answers(self, levels: Iterable[str], texts: Sequence[str]) -> Iterator[Answer]:
        """What literals and the messages of records say about their marks.

        :param levels: of each record, such as ``ERROR``.
        :param texts: what follows the level on its first line.
        """
        said: Iterable[frozenset[str]] = repeat(_NOTHING, len(texts))
        if self._wordy:
            known = self._said
            said = [known[text.partition(" {")[0].partition(" [")[0]] for text in texts]
        held = [[literal in text for text in texts] for literal in self._literals]
        return map(self._answers.__getitem__, zip(levels, said, *held, strict=True))

    def settle(self, question: Question, text: str) -> tuple[bool, float | None]:
        """Whether a record bears the mark of a question after all, and with what number."""
        text = text.rstrip("\r")
        if question.regexes and not question.regexes <= self._telling.found(text):
            return False, None
        if question.words and question.words.isdisjoint(self._telling.found(message(text))):
            return False, None
        number = question.number.find(text) if question.number else None
        return question.number is None or number is not None, number

    def _find_said(self, message: str) -> frozenset[str]:
        """Words and regular expressions in what surely is message: messages are few, what varies is the context."""
        return frozenset(p for p in self._telling.found(message) if not _minds_its_place(p))

    def _judge(self, key: tuple[Any, ...]) -> Answer:
        severity, said, *held = key
        holds = said.union(compress(self._names, held))
        certain, questions = [], []
        for i, mark in self._marks.items():
            regexes = self._regexes.intersection(mark.all_of) - holds
            words = frozenset(() if said.intersection(mark.message_any_of) else mark.message_any_of)
            if mark.critical:
                certain += [i] if severity in CRITICAL else []
            elif (
                not mark.all_of
                or not (holds | regexes).issuperset(mark.all_of)
                or (words and not words & (holds | self._regexes))
            ):
                continue
            elif regexes or words or mark.value:
                questions.append(Question(i, regexes, words, self._numbers.get(i)))
            else:
                certain.append(i)
        return Answer(tuple(certain), tuple(questions))


class Memo(dict[Any, Any]):
    """Answers that are kept, so that what is alike is cheap and memory stays flat.

    :param kept: how many; ``None`` for all.
    """

    def __init__(self, ask: Callable[[Any], Any], kept: int | None = 1000) -> None:
        super().__init__()
        self._ask = ask
        self._kept = kept

    def __missing__(self, key: Any) -> Any:
        """Ask once; what is long is asked again."""
        answer = self._ask(key)
        if len(key) <= _SHORT:
            if self._kept and len(self) >= self._kept:
                self.clear()
            self[key] = answer
        return answer


class _Patterns:
    """Looks for patterns of both kinds."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = sorted(patterns)
        self._literals = {p: _latin(p) for p in self._patterns if not p.startswith(_REGEX)}
        regexes = [(_regex(p), number) for number, p in enumerate(self._patterns) if p not in self._literals]
        self._scan = _scanner(regexes, hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_UTF8)

    def found(self, text: str) -> frozenset[str]:
        """Those that a text, read as latin-1, holds."""
        found = [p for p, literal in self._literals.items() if literal in text]
        self._scan(
            _utf8(text), lambda number, _start, _end, _flags, _context: found.append(self._patterns[number])
        )
        return frozenset(found)


class _Number:
    """A regular expression's one group as a number.

    The engine has no groups but finds where a match lies; only there Python's own takes the group, so that a text
    that does not match cannot make it backtrack. Texts that differ in nothing but their digits are asked once, unless
    the expression tells one digit from another.
    """

    def __init__(self, pattern: str) -> None:
        flags = hyperscan.HS_FLAG_SOM_LEFTMOST | hyperscan.HS_FLAG_UTF8
        self._scan = _scanner([(pattern.encode(), 0)], flags)
        self._pattern = re.compile(pattern)
        self._limits: list[int] = []
        extend = self._limits.extend
        self._note = lambda _id, start, end, _flags, _context: extend((start, end))
        self._alike = re.search("[0-9]", re.sub(r"(?<!\\)\[0-9", "", pattern)) is None
        self._spans = Memo(self._span)

    def find(self, text: str) -> float | None:
        """The first match's number in a text read as latin-1; ``None`` without a match or when it is beyond measure."""
        raw = _utf8(text)
        start, end = self._spans[raw.translate(_DIGITS)] if self._alike else self._span(raw)
        try:
            number = float(raw[start:end].decode())
        except ValueError:
            return None
        return number if abs(number) < _LARGEST else None

    def _span(self, raw: bytes) -> tuple[int, int]:
        """Where in a text the group of the first match lies; an empty stretch without one."""
        self._limits.clear()
        self._scan(raw, self._note)
        if not self._limits:
            return 0, 0
        first = min(self._limits)
        found = raw[first : max(self._limits)].decode()
        match = self._pattern.match(found)
        if not match or match[1] is None:
            return 0, 0
        start, end = (first + len(found[:at].encode()) for at in match.span(1))
        return start, end


def _latin(literal: str) -> str:
    return str(literal.encode(), "latin-1")


def _utf8(text: str) -> bytes:
    """A text that was read as latin-1 as the engine wants it: as valid UTF-8."""
    raw = text.encode("latin-1")
    return raw if text.isascii() else raw.decode("utf-8", "replace").encode()


def _minds_its_place(pattern: str) -> bool:
    """Whether a pattern may match in the start of a text and yet not in the whole text."""
    return pattern.startswith(_REGEX) and re.search(r"[$]|\\[bBzZ]", pattern) is not None


def _groups(marks: Sequence[Mark]) -> dict[tuple[str, ...], list[int]]:
    """The marks, as indices, by the texts of which a record with them holds at least one; each mark once.

    A text that tells of many marks is taken first, as a line is then looked at once for all of them; of two the longer
    one, which is rarer.
    """
    groups = {tuple(f".{level}:" for level in CRITICAL): [i for i, mark in enumerate(marks) if mark.critical]}
    left = {i: _telling(mark) for i, mark in enumerate(marks) if mark.all_of}
    while left:
        told = {
            text: [i for i, held in left.items() if any(text in other for other in held)]
            for texts in left.values()
            for text in texts
            if len(text) >= _TELLING or text == max(texts, key=len)
        }
        best = max(told, key=lambda text: (len(told[text]), len(text)))
        groups[best,] = told[best]
        left = {i: held for i, held in left.items() if i not in told[best]}
    return {texts: told for texts, told in groups.items() if told}


def _telling(mark: Mark) -> list[str]:
    """The texts without which no record has a mark; an empty one when no such text is known.

    A regular expression gives some where only ``.*`` stands between plain texts; beside any other kind, put a
    literal: it makes the reading ten times faster.
    """
    pieces = []
    for pattern in mark.all_of:
        plain = pattern.removeprefix(_REGEX)
        literals = [plain] if plain == pattern else plain.split(".*")
        if plain == pattern or all(re.fullmatch(r"[\w :/-]*", piece) for piece in literals):
            pieces += literals
    return [piece for piece in pieces if piece] or [""]


def _regex(pattern: str) -> bytes:
    return pattern.removeprefix(_REGEX).encode()


def _escaped(text: str) -> bytes:
    """A literal as a regular expression."""
    return "".join(c if c.isalnum() or not c.isascii() else f"\\x{ord(c):02x}" for c in text).encode()


def _at_fault(marks: Iterable[Mark]) -> PatternError:
    """The sentence for the first regular expression that the engine does not take."""
    for mark in marks:
        regexes = [p for p in (*mark.all_of, *mark.message_any_of) if p.startswith(_REGEX)]
        for pattern in regexes + ([mark.value] if mark.value else []):
            try:
                _scanner([(_regex(pattern), 0)], hyperscan.HS_FLAG_UTF8)
            except hyperscan.HyperscanError as error:
                return PatternError(
                    f"{mark.name}: {pattern!r} does not run on an engine without backtracking ({error}): "
                    "write it without look-around and back-references"
                )
    raise AssertionError("each runs for itself, and not together")


def _scanner(
    expressions: Sequence[tuple[bytes, int]], flags: int = 0
) -> Callable[[bytes, Callable[..., None]], None]:
    """What runs expressions over a text and calls back with the number of one, and where it matches."""
    if not expressions:
        return lambda _text, _note: None
    database = hyperscan.Database()
    database.compile(
        expressions=[expression for expression, _ in expressions],
        ids=[number for _, number in expressions],
        flags=[flags] * len(expressions),
    )
    scan: Callable[[bytes, Callable[..., None]], None] = database.scan
    return scan
