# SPDX-License-Identifier: MIT
"""A report as data: what it says, without a word about Slack or HTML. All texts are plain, in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Judgement(StrEnum):
    """Whether something is as it should be."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


class Answer(StrEnum):
    """The answer to an item of a checklist; OPEN is one that only people can answer."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number beside the one of the period before.

    :param value: with its unit.
    :param before: the same of the period before; empty where there is none.
    :param change: with its sign; empty where there is nothing to compare with.
    :param judgement: whether the change is good.
    :param target: what it is held against, in words; ``met`` whether it keeps to it, None where that does not apply.
    :param note: what else the reader has to know, such as why there is no number.
    """

    label: str
    value: str
    before: str = ""
    change: str = ""
    judgement: Judgement = Judgement.NEUTRAL
    target: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head.

    :param numeric: the columns, counted from 0, that hold numbers.
    :param empty: what is said when there are no rows.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    empty: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a checklist: the question, its answer, and what the answer rests on."""

    question: str
    answer: Answer
    evidence: str


@dataclass(frozen=True, slots=True)
class Checklist:
    """A checklist of the guide, answered."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, drawn: SVG for the page in four forms, PNG for Slack; ``alt`` says in words what it shows."""

    title: str
    alt: str
    wide_light: str
    wide_dark: str
    narrow_light: str
    narrow_dark: str
    png: bytes


Part = Table | Checklist


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    :param name: the name of its files, without an ending.
    :param period: the days that it is about, in words.
    :param headline: what a manager reads first.
    :param judgement: of the whole period.
    :param figures: the first few are what Slack shows at once.
    :param notes: small print: how it was counted, what could not be.
    """

    name: str
    language: str
    title: str
    period: str
    headline: str
    judgement: Judgement
    figures: tuple[Figure, ...]
    pictures: tuple[Picture, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
