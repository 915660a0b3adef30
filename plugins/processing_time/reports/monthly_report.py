# SPDX-License-Identifier: MIT
"""The report on a month: its figures beside the month before, where they have been going, and who uses the feature."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from processing_time.model import ALL_COMPANIES
from processing_time.reports import trend
from processing_time.reports.charts import Bound, Panel, Series, draw
from processing_time.reports.document import (
    Answer,
    Checklist,
    Figure,
    Item,
    Judgement,
    Picture,
    Report,
    Table,
)
from processing_time.reports.language import Language
from processing_time.reports.monthly_adoption import Adoption
from processing_time.reports.monthly_period import window
from processing_time.reports.monthly_rollup import Rollup
from processing_time.reports.trend import Course
from processing_time.reports.weekly_figures import ADOPTION, SHARE
from processing_time.settings import Metric, Settings
from processing_time.store_reports import Period, Rolled, Trend

OVERLAPS = "overlapping_bookings"
FIRST = (
    *("phase_creation_success_rate", "calcom_sync_success_rate", "availability_cache_hit_rate"),
    *(OVERLAPS, "phase_creation_time", SHARE),
)
"""What is drawn, and shown first."""
USE = (SHARE, ADOPTION)
DIGITS = {"%": 2, "×": 2, "ms": 1, "keys": 1}
"""Behind the point, by unit; a rate needs two beside a target of 99."""
SHORT = ("%", "×", "ms")
"""Units that are written behind every number of a table."""
LEAST_SHOWN = 0.001
AXIS = 6
"""A chart has at least so many months."""


def report(rollup: Rollup, history: Sequence[Rolled], settings: Settings, language: Language) -> Report:
    """The report on a month.

    :param history: the rows of the twelve months before it, oldest first.
    """
    return _Report(rollup, history, settings, language).make()


class _Report:
    def __init__(
        self, rollup: Rollup, history: Sequence[Rolled], settings: Settings, language: Language
    ) -> None:
        self._rollup, self._settings, self._language = rollup, settings, language
        self._month = rollup.month
        self._rows: dict[tuple[str, int], dict[date, Rolled]] = defaultdict(dict)
        for row in (*history, *rollup.rows):
            self._rows[row.key][row.period_start] = row
        rules = {**settings.metrics, **settings.log_rules}
        keys = [*FIRST, ADOPTION, *rules]
        self._keys = [
            key
            for key in dict.fromkeys(keys)
            if (key in USE or (key in rules and rules[key].enabled)) and (key, ALL_COMPANIES) in self._rows
        ]
        self._adoption = Adoption(rollup, history, language)

    def make(self) -> Report:
        language, last = self._language, Period.MONTHLY.step(self._month, 1) - timedelta(days=1)
        headline, judgement = self._headline()
        return Report(
            name=f"monthly-{self._month:%Y-%m}",
            language=language.code,
            title=self._language.say("Processing Time: {month}", month=language.month(self._month)),
            period=language.period(self._month, last),
            headline=headline,
            judgement=judgement,
            figures=tuple(self._figure(key) for key in self._keys if key not in self._settings.log_rules),
            pictures=self._pictures(),
            parts=(self._checklist(), self._trends(), *self._adoption.tables()),
            notes=tuple(self._notes()),
        )

    # --- one metric -----------------------------------------------------------------------------------------

    def _metric(self, key: str) -> Metric | None:
        return self._settings.metrics.get(key)

    def _title(self, key: str) -> str:
        if key == SHARE:
            return self._language.say("Share of appointments with processing time")
        if key == ADOPTION:
            return self._language.say("Services using processing time")
        known = {**self._settings.metrics, **self._settings.log_rules}
        return self._language.unit(known[key].title) if key in known else key

    def _unit(self, key: str) -> str:
        metric = self._metric(key)
        return "%" if key in USE else metric.unit if metric else "lines"

    def _row(self, key: str, months: int = 0) -> Rolled | None:
        """What a metric came to for all companies in this month, or so many months later."""
        return self._rows[key, ALL_COMPANIES].get(Period.MONTHLY.step(self._month, months))

    def _value(self, key: str, months: int = 0) -> float | None:
        row = self._row(key, months)
        return row.value if row else None

    def _shown(self, key: str, value: float | None, *, signed: bool = False) -> str:
        if value is None:
            return "–"
        unit = self._unit(key)
        # The difference of two percentages is one of percentage points.
        name = self._language.say("points") if signed and unit == "%" else unit
        return self._language.quantity(value, name, DIGITS.get(unit, 0), signed=signed)

    def _course(self, key: str) -> Course:
        first = Period.MONTHLY.step(self._month, 1 - trend.MONTHS)
        rows = sorted(self._rows[key, ALL_COMPANIES].values(), key=lambda row: row.period_start)
        return trend.course([row for row in rows if first <= row.period_start <= self._month])

    def _good(self, key: str, direction: float) -> Judgement:
        """Whether it is good that a metric goes up (above 0) or down."""
        metric = self._metric(key)
        better = "higher" if key in USE else metric.better if metric else "lower"
        if not direction:
            return Judgement.NEUTRAL
        return Judgement.GOOD if (direction > 0) == (better == "higher") else Judgement.BAD

    def _met(self, key: str) -> bool | None:
        """Whether the target was met; None without one, or with too little to say."""
        metric, row = self._metric(key), self._row(key)
        if metric is None or metric.target is None or row is None or row.value is None:
            return None
        if (row.denominator or 0) < metric.min_volume:
            return None
        sign = 1 if metric.better == "higher" else -1
        distance = sign * (row.value - metric.target)
        return distance >= 0 if metric.target == metric.alert else distance > 0

    def _target(self, key: str) -> str:
        metric = self._metric(key)
        if metric is None or metric.target is None:
            return ""
        equal = metric.target == metric.alert
        sign = {"higher": ("≥" if equal else ">"), "lower": ("≤" if equal else "<")}[metric.better]
        bound = self._language.quantity(metric.target, metric.unit)
        return self._language.say("target {bound}", bound=f"{sign} {bound}")

    def _figure(self, key: str) -> Figure:
        value, before = self._value(key), self._value(key, -1)
        change = value - before if value is not None and before is not None else None
        return Figure(
            label=self._title(key),
            value=self._shown(key, value),
            before="" if before is None else self._shown(key, before),
            change="" if change is None else self._shown(key, change, signed=True),
            judgement=self._good(key, change or 0),
            target=self._target(key),
            met=self._met(key),
            note=self._volume(key),
        )

    def _volume(self, key: str) -> str:
        metric, row = self._metric(key), self._row(key)
        if metric is None or row is None or row.denominator is None or metric.source == "redis":
            return ""
        counted = self._language.quantity(row.denominator, metric.population)
        if row.denominator < metric.min_volume:
            return self._language.say("only {counted}: too few to say", counted=counted)
        return self._language.say("of {counted}", counted=counted)

    # --- the whole ------------------------------------------------------------------------------------------

    def _headline(self) -> tuple[str, Judgement]:
        answered = {key: met for key in self._keys if (met := self._met(key)) is not None}
        missed = [key for key, met in answered.items() if not met]
        if not answered:
            return self._language.say("Too little was booked or measured to say anything."), Judgement.NEUTRAL
        text = self._language.count(
            "{met} of {n} target met.",
            "{met} of {n} targets met.",
            len(answered),
            met=len(answered) - len(missed),
        )
        if missed:
            named = ", ".join(f"{self._title(key)} {self._shown(key, self._value(key))}" for key in missed)
            text += " " + self._language.say("Missed: {named}.", named=named)
        if OVERLAPS in self._keys:
            direction = self._direction(self._course(OVERLAPS).trend)
            bookings = self._shown(OVERLAPS, self._value(OVERLAPS))
            text += " " + self._language.say(
                "During processing: {bookings}, {direction}.", bookings=bookings, direction=direction
            )
        return text, Judgement.BAD if missed else Judgement.GOOD

    def _direction(self, direction: Trend) -> str:
        return {
            Trend.UP: self._language.say("rising"),
            Trend.DOWN: self._language.say("falling"),
            Trend.FLAT: self._language.say("no trend"),
            Trend.TOO_FEW: self._language.say("too few months for a trend"),
        }[direction]

    def _trends(self) -> Table:
        language, month = self._language, self._month
        months = [language.month(Period.MONTHLY.step(month, n), short=True) for n in (0, -1, -12)]
        rows = []
        for key in self._keys:
            course = self._course(key)
            values = [self._cell(key, self._value(key, n)) for n in (0, -1, -12)]
            slope = self._cell(key, course.slope, signed=True)
            rows.append((self._title(key), *values, slope, self._going(key, course), self._chance(course)))
        return Table(
            title=self._language.say("Performance trends"),
            head=(
                self._language.say("Metric"),
                *months,
                self._language.say("A month"),
                self._language.say("Trend"),
                self._language.say("Chance"),
            ),
            rows=tuple(rows),
            numeric=frozenset({1, 2, 3, 4, 6}),
            note=self._language.say(
                "Of up to {months} months. A trend is called one when chance alone puts the months into such an order less"
                " often than {level} (Mann-Kendall, exact); a month's change is the median of all pairs (Theil-Sen).",
                months=trend.MONTHS,
                level=language.quantity(100 * trend.LEVEL, "%"),
            ),
        )

    def _cell(self, key: str, value: float | None, *, signed: bool = False) -> str:
        """A number without the word for what it counts, which its row is called."""
        unit = self._unit(key)
        if value is None or unit in SHORT:
            return self._shown(key, value, signed=signed)
        digits = DIGITS.get(unit, 0)
        return self._language.signed(value, digits) if signed else self._language.number(value, digits)

    def _going(self, key: str, course: Course) -> str:
        sign = {Judgement.GOOD: " ✓", Judgement.BAD: " ✗"}.get(self._judged(key, course), "")
        return f"{self._direction(course.trend)}{sign}"

    def _chance(self, course: Course) -> str:
        """How likely it is nothing but chance; nothing is said of too few months."""
        if course.trend is Trend.TOO_FEW:
            return "–"
        if course.p_value < LEAST_SHOWN:
            return f"<\u00a0{self._language.number(LEAST_SHOWN, 3)}"
        return self._language.number(course.p_value, 3)

    def _judged(self, key: str, course: Course) -> Judgement:
        return self._good(key, {Trend.UP: 1, Trend.DOWN: -1}.get(course.trend, 0))

    # --- the checklist --------------------------------------------------------------------------------------

    def _checklist(self) -> Checklist:
        say = self._language.say
        items = [
            Item(say("Analyze performance trends"), *self._performance()),
            Item(say("Overlapping bookings increase"), *self._increase()),
            Item(say("Review rollout progress"), *self._adoption.progress()),
            Item(say("Review customer feedback"), Answer.OPEN, say("No data says how customers like it.")),
            Item(say("Plan optimizations"), Answer.OPEN, self._farthest()),
            Item(
                say("Update documentation"),
                Answer.OPEN,
                say("For people: does it still say what the application does?"),
            ),
        ]
        return Checklist(say("Monthly checklist"), tuple(items))

    def _performance(self) -> tuple[Answer, str]:
        judged = {key: self._course(key) for key in self._keys}
        better = [key for key, course in judged.items() if self._judged(key, course) is Judgement.GOOD]
        worse = [key for key, course in judged.items() if self._judged(key, course) is Judgement.BAD]
        if all(course.trend is Trend.TOO_FEW for course in judged.values()):
            return Answer.UNKNOWN, self._language.say(
                "{least} months are needed to tell a trend from chance.", least=trend.LEAST
            )
        texts = []
        if better:
            texts.append(self._language.say("Better: {named}.", named=", ".join(map(self._title, better))))
        if worse:
            texts.append(self._language.say("Worse: {named}.", named=", ".join(map(self._title, worse))))
        return Answer.NO if worse else Answer.YES, " ".join(texts) or self._language.say(
            "Nothing gets better or worse."
        )

    def _increase(self) -> tuple[Answer, str]:
        if OVERLAPS not in self._keys:
            return Answer.UNKNOWN, self._language.say("They were not measured.")
        course = self._course(OVERLAPS)
        answer = {Trend.UP: Answer.YES, Trend.TOO_FEW: Answer.UNKNOWN}.get(course.trend, Answer.NO)
        told = self._direction(course.trend)
        months = self._language.count("{n} month", "{n} months", course.months)
        if course.slope is None or course.trend is Trend.TOO_FEW:
            return answer, f"{told}: {months}"
        return answer, self._language.say(
            "{slope} a month, {told}; chance alone: {chance}, over {months}.",
            slope=self._shown(OVERLAPS, course.slope, signed=True),
            told=told,
            chance=self._chance(course),
            months=months,
        )

    def _farthest(self) -> str:
        missed = [key for key in self._keys if self._met(key) is False]
        if not missed:
            return self._language.say("Every target that could be judged was met.")
        lines = [f"{self._title(k)} {self._shown(k, self._value(k))} ({self._target(k)})" for k in missed]
        return self._language.say("Where targets were missed: {lines}.", lines="; ".join(lines))

    # --- pictures and small print ---------------------------------------------------------------------------

    def _pictures(self) -> tuple[Picture, ...]:
        drawn = [key for key in FIRST if key in self._keys]
        known = [
            m for key in drawn for m, row in self._rows[key, ALL_COMPANIES].items() if row.value is not None
        ]
        if not known:
            return ()
        earliest = Period.MONTHLY.step(self._month, 1 - trend.MONTHS)
        first = max(min(known), earliest)
        first = min(first, Period.MONTHLY.step(self._month, 1 - AXIS))
        months = [
            m for n in range(1 - trend.MONTHS, 1) if (m := Period.MONTHLY.step(self._month, n)) >= first
        ]
        panels = [self._panel(key, months) for key in drawn]
        title = self._language.say("The last months")
        latest = ", ".join(f"{self._title(key)} {self._shown(key, self._value(key))}" for key in drawn)
        alt = self._language.say("{panels} by month; the newest: {latest}", panels=len(panels), latest=latest)
        labels = [self._language.month(m, short=True) for m in months]
        return (draw(title, alt, labels, panels, self._language),)

    def _panel(self, key: str, months: Iterable[date]) -> Panel:
        metric, rows = self._metric(key), self._rows[key, ALL_COMPANIES]
        values = tuple(rows[m].value if m in rows else None for m in months)
        levels = (
            [(self._language.say("target"), metric.target), (self._language.say("alert"), metric.alert)]
            if metric
            else []
        )
        # Nought is no level that a count can be seen to keep to.
        bounds = tuple(Bound(f"{name} {self._language.number(v)}", v) for name, v in levels if v)
        unit = self._unit(key)
        top = 100.5 if unit == "%" else None
        return Panel(self._title(key), unit, (Series(self._title(key), values),), bounds, top=top)

    def _notes(self) -> list[str]:
        say, rollup = self._language.say, self._rollup
        notes = [
            say(
                "Counted from the application's rows as they are now: what was deleted since then is missing, and services"
                " count as they are set up today. Log and cache come from the samples of the checks."
            )
        ]
        if rollup.doubt:
            notes.append(rollup.doubt)
        notes += self._coverage()
        notes += [f"{self._title(key)}: {reason}" for key, reason in rollup.lost.items()]
        if rollup.kept:
            named = ", ".join(map(self._title, rollup.kept))
            notes.append(
                say("As rolled up before, because the rows or samples are gone: {named}.", named=named)
            )
        if missing := self._missing():
            notes.append(say("Not rolled up, so missing in the trends: {months}.", months=", ".join(missing)))
        return notes

    def _coverage(self) -> list[str]:
        """How much of the month the log was read for, where that is not all of it."""
        whole = window(self._month, self._settings.zone).length
        read = {k: t for k, t in self._rollup.samples.covered.items() if t and t < whole - timedelta(days=1)}
        hours = timedelta(hours=1)
        return [
            self._language.say(
                "{metric}: measured for {part} of {whole} hours.",
                metric=self._title(key),
                part=self._language.number(covered / hours),
                whole=self._language.number(whole / hours),
            )
            for key, covered in read.items()
        ]

    def _missing(self) -> list[str]:
        there = {row for rows in self._rows.values() for row in rows}
        first = max(min(there, default=self._month), Period.MONTHLY.step(self._month, 1 - trend.MONTHS))
        months = (Period.MONTHLY.step(self._month, n) for n in range(1 - trend.MONTHS, 0))
        return [self._language.month(m) for m in months if m >= first and m not in there]
