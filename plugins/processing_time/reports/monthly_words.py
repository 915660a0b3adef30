# SPDX-License-Identifier: MIT
"""How the monthly report words a metric: its value and target, earlier months, where it goes and whether that is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial

from processing_time.evaluation import judge
from processing_time.model import ALL_COMPANIES, Sample, State
from processing_time.reports import trend
from processing_time.reports.change import change, judged
from processing_time.reports.document import Figure, Judgement
from processing_time.reports.language import Language
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
"""What is shown first, and drawn."""
THEN = ("orphaned_appointments", "phase_distribution", ADOPTION)
"""What is shown after that, before all others."""
USE = (SHARE, ADOPTION)
"""Figures that are no metrics of the settings."""
DIGITS = {"%": 2, "×": 2, "ms": 1, "keys": 1}
"""Behind the point, by unit; a rate needs two beside a target of 99."""
SHORT = frozenset({"%", "×", "ms"})
"""The units that are written behind a number; the others are in the metric's title."""
LEAST_SHOWN = 0.001
UNJUDGED = frozenset({State.UNKNOWN, State.INSUFFICIENT_DATA})


class Words:
    """A month's figures for all companies, and the language that they are told in.

    :param history: the rows of the twelve months before, oldest first.
    """

    def __init__(
        self, rollup: Rollup, history: Sequence[Rolled], settings: Settings, language: Language
    ) -> None:
        self.rollup, self.settings, self.language = rollup, settings, language
        self.month = rollup.month
        self._rows: dict[str, dict[date, Rolled]] = {}
        for row in (*history, *rollup.rows):
            if row.company_id == ALL_COMPANIES:
                self._rows.setdefault(row.metric, {})[row.period_start] = row

    @property
    def keys(self) -> list[str]:
        """What there is to tell of, the weightiest first; nothing that is switched off."""
        rules = {**self.settings.metrics, **self.settings.log_rules}
        wanted = dict.fromkeys((*FIRST, *THEN, *rules))
        return [k for k in wanted if k in self._rows and (k in USE or (k in rules and rules[k].enabled))]

    def metric(self, key: str) -> Metric | None:
        """The metric of that key; None for a rule and for adoption."""
        return self.settings.metrics.get(key)

    def rows(self, key: str) -> Mapping[date, Rolled]:
        """The months of a metric."""
        return self._rows.get(key, {})

    def step(self, months: int) -> date:
        """The month so many months later; earlier, when negative."""
        return Period.MONTHLY.step(self.month, months)

    def row(self, key: str, months: int = 0) -> Rolled | None:
        """What a metric came to in this month, or in one so many months later."""
        return self.rows(key).get(self.step(months))

    def course(self, key: str) -> Course:
        """How a metric has gone up to this month."""
        first = self.step(1 - trend.MONTHS)
        return trend.course([row for m, row in sorted(self.rows(key).items()) if first <= m <= self.month])

    # --- in words -------------------------------------------------------------------------------------------

    def title(self, key: str) -> str:
        """What a metric or rule is called."""
        if key == SHARE:
            return self.language.say("Share of appointments with processing time")
        if key == ADOPTION:
            return self.language.say("Services using processing time")
        known = {**self.settings.metrics, **self.settings.log_rules}
        return self.language.unit(known[key].title) if key in known else key

    def unit(self, key: str) -> str:
        """The unit of a metric; that of a rule is lines."""
        metric = self.metric(key)
        return "%" if key in USE else metric.unit if metric else "lines"

    def number(self, key: str, value: float | None, *, signed: bool = False) -> str:
        """A number of a metric; a dash where there is none."""
        if value is None:
            return "–"
        unit = self.unit(key)
        digits = DIGITS.get(unit, 0)
        if unit not in SHORT:
            return self.language.signed(value, digits) if signed else self.language.number(value, digits)
        # The difference of two percentages is in points.
        return self.language.quantity(
            value, "points" if signed and unit == "%" else unit, digits, signed=signed
        )

    def value(self, key: str, months: int = 0) -> str:
        """The value of a month; a dash where there is none."""
        row = self.row(key, months)
        return self.number(key, row.value if row else None)

    def figure(self, key: str) -> Figure:
        """A metric beside the month before."""
        change, judgement = self._change(key)
        return Figure(
            label=self.title(key),
            value=self.value(key),
            before="" if self._known(key, -1) is None else self.value(key, -1),
            change=change,
            judgement=judgement,
            target=self.target(key),
            met=self.met(key),
            note=self._volume(key),
        )

    def direction(self, course: Course) -> str:
        """Where a metric goes."""
        return {
            Trend.UP: self.language.say("rising"),
            Trend.DOWN: self.language.say("falling"),
            Trend.FLAT: self.language.say("no trend"),
            Trend.TOO_FEW: self.language.say("too few months for a trend"),
        }[course.trend]

    def chance(self, course: Course) -> str:
        """How likely that is nothing but chance; nothing is said of too few months."""
        if course.trend is Trend.TOO_FEW:
            return "–"
        if course.p_value < LEAST_SHOWN:
            return f"<\u00a0{self.language.number(LEAST_SHOWN, 3)}"
        return self.language.number(course.p_value, 3)

    def target(self, key: str) -> str:
        """The target of a metric; empty where it has none."""
        metric = self.metric(key)
        if metric is None or metric.target is None:
            return ""
        equal = metric.target == metric.alert
        sign = ("≥" if equal else ">") if metric.better == "higher" else ("≤" if equal else "<")
        digits = 0 if metric.target == int(metric.target) else 1
        number = self.language.number(metric.target, digits)
        if metric.unit in SHORT:
            number = self.language.quantity(metric.target, metric.unit, digits)
        # Fewer than none there cannot be.
        bound = number if sign == "≤" and not metric.target else f"{sign}\u00a0{number}"
        return self.language.say("target {bound}", bound=bound)

    # --- judged ---------------------------------------------------------------------------------------------

    def met(self, key: str) -> bool | None:
        """Whether the target was met, as a check would judge the month; None without one, or with too little to say."""
        metric, row = self.metric(key), self.row(key)
        if metric is None or metric.target is None or row is None:
            return None
        period = window(self.month, self.settings.zone)
        sample = Sample(key, period, ALL_COMPANIES, row.value, row.numerator, row.denominator)
        state = judge(sample, self.settings).state
        return None if state in UNJUDGED else state is State.OK

    def judged(self, key: str, course: Course) -> Judgement:
        """Whether it is good where a metric goes."""
        return judged(course.trend, self._better(key))

    def _change(self, key: str) -> tuple[str, Judgement]:
        """The change against the month before, and whether it is good."""
        worded = partial(self.number, key, signed=True)
        return change(
            self.row(key), self.row(key, -1), worded, self._better(key), self.settings, self.language
        )

    def _better(self, key: str) -> str:
        metric = self.metric(key)
        return "higher" if key in USE else metric.better if metric else "lower"

    def _known(self, key: str, months: int) -> float | None:
        row = self.row(key, months)
        return row.value if row else None

    def _volume(self, key: str) -> str:
        """Of how many something is, and whether they are too few."""
        metric, row = self.metric(key), self.row(key)
        if metric is None or row is None or row.denominator is None or metric.source == "redis":
            return ""
        counted = self.language.quantity(row.denominator, metric.population)
        if row.denominator < metric.min_volume:
            return self.language.say("only {counted}: too few to say", counted=counted)
        return self.language.say("of {counted}", counted=counted)
