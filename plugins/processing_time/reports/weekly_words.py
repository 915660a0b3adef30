# SPDX-License-Identifier: MIT
"""How the weekly report words a metric: its value and target, the week before, the change and whether that is good."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from processing_time.evaluation import judge
from processing_time.model import State
from processing_time.reports.change import change
from processing_time.reports.document import Judgement
from processing_time.reports.language import Language
from processing_time.reports.weekly_figures import Figures
from processing_time.settings import Settings

SHOWN = (
    *("phase_creation_success_rate", "calcom_sync_success_rate", "orphaned_appointments"),
    *("overlapping_bookings", "phase_distribution", "phase_creation_time", "availability_cache_hit_rate"),
)
"""The metrics of the report, the weightiest first; one that is disabled is left out."""
UNJUDGED = frozenset({State.UNKNOWN, State.INSUFFICIENT_DATA})


@dataclass(frozen=True)
class Words:
    """The figures of a week and the language that they are told in."""

    figures: Figures
    settings: Settings
    language: Language

    @property
    def keys(self) -> list[str]:
        """The metrics to tell of; of a single company only those that the rows tell apart."""
        metrics = self.settings.metrics
        return [
            key
            for key in SHOWN
            if key in metrics
            and metrics[key].enabled
            and (self.figures.company_id is None or metrics[key].source == "mysql")
        ]

    def title(self, key: str) -> str:
        """What a metric or rule is called."""
        known = key in self.settings.metrics or key in self.settings.log_rules
        return self.language.unit(self.settings.rule(key).title) if known else key

    def state(self, key: str) -> State:
        """How the week stands against the bounds of the hourly check."""
        return judge(self.figures.sample(key), self.settings).state

    def value(self, key: str, value: float | None, *, signed: bool = False) -> str:
        """A value of a metric with its unit; a dash where there is none."""
        if value is None:
            return "–"
        metric = self.settings.metrics.get(key)
        unit = metric.unit if metric else "%"
        if unit not in ("%", "ms"):
            return self.language.signed(value) if signed else self.language.number(value)
        # The difference of two percentages is in points.
        shown = "points" if signed and unit == "%" else unit
        return self.language.quantity(value, shown, 2 if unit == "%" else 1, signed=signed)

    def target(self, key: str) -> str:
        """The target of a metric; empty where it has none."""
        metric = self.settings.metrics[key]
        if metric.target is None:
            return ""
        digits = 0 if metric.target == int(metric.target) else 1
        number = self.language.number(metric.target, digits)
        if metric.unit in ("%", "ms"):
            number = self.language.quantity(metric.target, metric.unit, digits)
        if metric.better == "higher":
            number = f">\u00a0{number}"
        elif metric.target:
            number = f"{'≤' if metric.alert == metric.target else '<'}\u00a0{number}"
        return self.language.say("target {bound}", bound=number)

    def note(self, key: str) -> str:
        """What a value is made of, or why there is none."""
        sample, metric = self.figures.sample(key), self.settings.metrics[key]
        if sample.loss or sample.value is None:
            return self.not_measured(sample.reason)
        population = {
            "all": self.language.number(sample.denominator or 0),
            "population": self.language.unit(metric.population),
        }
        if metric.kind == "rate":
            good = self.language.number(sample.numerator or 0)
            return self.language.say("{good} of {all} {population}", good=good, **population)
        return self.language.say("out of {all} {population}", **population)

    def not_measured(self, reason: str) -> str:
        """That there is no number, and why."""
        return self.language.say("not measured: {reason}", reason=reason or self.language.say("no data"))

    def before(self, key: str) -> str:
        """The value of the week before; empty where there is none."""
        before = self.figures.previous(key)
        return "" if before is None or before.value is None else self.value(key, before.value)

    def change(self, key: str) -> tuple[str, Judgement]:
        """The change against the week before, and whether it is good."""
        metric = self.settings.metrics.get(key)
        return change(
            self.figures.row(key),
            self.figures.previous(key),
            partial(self.value, key, signed=True),
            metric.better if metric else "higher",
            self.settings,
            self.language,
        )

    def and_more(self, left: int) -> str:
        """How many of something were left out; empty when none were."""
        return f" {self.language.say('and {n} more', n=self.language.number(left))}" if left > 0 else ""

    def blindness(self) -> str:
        """For how long monitoring was blind; empty when it was not."""
        hours = sum(blind.hours for blind in self.figures.blind)
        one, many = "Monitoring was blind for {n} hour.", "Monitoring was blind for {n} hours."
        return self.language.count(one, many, hours) if hours else ""
