# SPDX-License-Identifier: MIT
"""How fast an error budget burns: the share that fails, divided by the share that may.

At a burn rate of 1 a month's budget lasts exactly a month. A pair of windows fires when both burn faster than its
factor: the long one says that it matters, the short one that it goes on. This is the multi-window, multi-burn-rate alert of
"The Site Reliability Workbook" (Google, 2018), chapter 5, https://sre.google/workbook/alerting-on-slos/, with its
windows and factors for tickets. There many events are counted; here there may be few, so both must be beyond doubt, by
the Wilson interval: that the long window burns, and that the short one does less than the long one. What is neither is not
enough data: it opens nothing and resolves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from processing_time.certainty import wilson_lower_bound
from processing_time.model import Sample, Severity, State, Verdict
from processing_time.settings import Budget, BudgetWindows, Metric
from processing_time.timeline import length_text

MONTH = timedelta(days=30)
"""What a budget is said to be for."""


@dataclass(frozen=True, slots=True)
class Count:
    """What one window holds."""

    failing: int
    total: int

    def burn(self, budget: Budget) -> float:
        """The burn rate; 0 where there is nothing."""
        return 100 * self.failing / (budget.allowed * self.total) if self.total else 0.0


Counts = Mapping[timedelta, Count]
"""By the length of the window."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of windows at one check.

    :param volume: so many must be in the long window to say anything.
    """

    windows: BudgetWindows
    budget: Budget
    volume: int
    long: Count
    short: Count

    @property
    def certain(self) -> bool:
        """The long window burns faster than the factor, beyond doubt."""
        least = wilson_lower_bound(self.long.failing, self.long.total)
        return self.long.total >= self.volume and 100 * least > self.windows.factor * self.budget.allowed

    @property
    def fires(self) -> bool:
        """Both windows burn faster than the factor."""
        return self.certain and self.short.burn(self.budget) > self.windows.factor

    @property
    def quiet(self) -> bool:
        """Of a pair that does not fire: the long window burns no faster, or less fails in the short one, beyond doubt."""
        if self.long.burn(self.budget) <= self.windows.factor:
            return True
        most = 1 - wilson_lower_bound(self.short.total - self.short.failing, self.short.total)
        return most * self.long.total < self.long.failing

    @property
    def name(self) -> str:
        """The windows in words: ``24 h and 2 h``."""
        return _name(self.windows)


def budget_of(metric: Metric) -> Budget:
    """The budget of a metric of the kind burn_rate."""
    assert metric.budget is not None, "the settings see to it"
    return metric.budget


def measured(blank: Sample, counts: Counts, metric: Metric) -> Sample:
    """The sample of an error budget.

    Its value is the burn rate of the long window of the pair that decides, numerator and denominator that window's
    failures and population; the detail holds the counts and burn rates of all windows, and the pair that fires.

    :param counts: of each of the budget's windows.
    """
    budget, pair = budget_of(metric), _decisive(counts, metric)
    windows = {
        length_text(length): {
            "failing": counts[length].failing,
            "total": counts[length].total,
            "burn_rate": counts[length].burn(budget),
        }
        for length in budget.lengths
    }
    return replace(
        blank,
        value=pair.long.burn(budget) if pair.long.total else None,
        numerator=pair.long.failing,
        denominator=pair.long.total,
        detail={**blank.detail, "windows": windows, "fires": pair.name if pair.fires else None},
    )


def judge(sample: Sample, metric: Metric) -> Verdict:
    """Hold the counts of a sample against the factors of the settings, which may not be those it was measured with."""
    told = sample.detail.get("windows", {})
    names = {length: length_text(length) for length in budget_of(metric).lengths}
    if missing := [name for name in names.values() if name not in told]:
        return Verdict(sample, State.INSUFFICIENT_DATA, None, f"nothing was counted over {missing[0]}")
    counts = {n: Count(told[name]["failing"], told[name]["total"]) for n, name in names.items()}
    sample, pair = measured(sample, counts, metric), _decisive(counts, metric)
    population = max(count.total for count in counts.values())
    if population < metric.min_volume:
        few = f"{population} {metric.population}, fewer than {metric.min_volume}"
        return Verdict(sample, State.INSUFFICIENT_DATA, None, few)
    if pair.fires:
        state = State.CRITICAL if metric.severity is Severity.CRITICAL else State.ALERT
        return Verdict(sample, state, metric.severity, f"{_reason(pair, metric)}; {_pace(pair)}")
    if not pair.quiet:
        aim = (
            f"in {length_text(pair.windows.short)} to tell whether it goes on"
            if pair.certain
            else "to be sure"
        )
        return Verdict(sample, State.INSUFFICIENT_DATA, None, f"{_reason(pair, metric)}; too few {aim}")
    return Verdict(sample, State.OK, None, _reason(pair, metric))


def threshold_text(budget: Budget) -> str:
    """The factors in words: ``burn > 3× in 24 h and 2 h, or > 1× in 3 d and 6 h``."""
    return "burn " + ", or ".join(f"> {w.factor:g}× in {_name(w)}" for w in budget.windows)


def _decisive(counts: Counts, metric: Metric) -> Pair:
    """The first pair that fires, else the first that is not quiet, else the one whose long window is nearest to its factor."""
    budget = budget_of(metric)
    pairs = [Pair(w, budget, metric.min_volume, counts[w.long], counts[w.short]) for w in budget.windows]
    telling = [p for p in pairs if p.fires] or [p for p in pairs if not p.quiet]
    if telling:
        return telling[0]
    return max(pairs, key=lambda p: (p.long.burn(budget) / p.windows.factor, p.long.total))


def _reason(pair: Pair, metric: Metric) -> str:
    long, short = (length_text(length) for length in (pair.windows.long, pair.windows.short))
    counts = f"{pair.long.failing} of {pair.long.total} {metric.population} {metric.failing}".strip()
    return (
        f"burning {pair.long.burn(pair.budget):.1f}× in {long} and {pair.short.burn(pair.budget):.1f}× in {short},"
        f" {counts} in {long}"
    )


def _pace(pair: Pair) -> str:
    hours = MONTH / timedelta(hours=1) / pair.long.burn(pair.budget)
    gone = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
    return f"at this pace the month's budget is gone in {gone}"


def _name(windows: BudgetWindows) -> str:
    return f"{length_text(windows.long)} and {length_text(windows.short)}"
