# SPDX-License-Identifier: MIT
"""Tests of alert rules: samples in, messages out, by check. ``python -m processing_time.rule_tests FILE…`` runs a user's own.

A file is a list of tests; everything but ``name``, ``samples`` and ``messages`` may be left out::

    - name: a failing phase creation pages at the second check
      settings: {escalation: {remind_after: 2h}}        # laid over the settings in force
      checks: 08:00 09:00 10:00                         # local times; one before its predecessor is the next day's
      samples:                                          # a word for each check, "x3" after it repeats it
        phase_creation_success_rate: 100/100 94/100x2   # good/total of a rate
        phase_creation_burn_rate: 0/900 20/900,0/80x2   # failing/total of a budget's windows, longest first; the last
                                                        # one stands for the rest
        orphaned_appointments: 0@100 6@100x2            # value@population of everything else, or the value alone
        phase_creation_success_rate company 7: -x3      # one company's row; "-": none in this check
      left: {orphaned_appointments: - - 2/6}            # of the appointments in its alert, so many are still failing
      acknowledged: [Mon 09:00 orphaned_appointments by U0123]
      states: {phase_creation_success_rate: ok alertx2}
      messages:
        - Mon 09:00 open phase_creation_success_rate high level 1

``unknown`` is a lost measurement, ``never`` one that was never there, ``dead`` one whose whole source is gone.
Without ``checks`` they are hourly from Monday 08:00 on.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from processing_time.burn_rate import Count, Counts, measured
from processing_time.escalation import decide
from processing_time.evaluation import judge
from processing_time.ledger import Ledger
from processing_time.life_cycle import Key, Recheck
from processing_time.model import (
    ALL_COMPANIES,
    Acknowledgement,
    Action,
    Decision,
    Loss,
    Sample,
    Verdict,
    Window,
)
from processing_time.settings import Budget, Metric, Settings, SettingsError, load

MONDAY = date(2026, 3, 2)
LOSSES = {"unknown": Loss.LOST, "never": Loss.NEVER, "dead": Loss.SOURCE}


class RuleTestError(ValueError):
    """A test cannot be run. The text names the test, the value and what to write."""


class RuleTest(BaseModel):
    """One test as it stands in a file; ``messages`` are a time and what :func:`told` writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    checks: str = ""
    samples: dict[str, str] = Field(min_length=1)
    left: dict[str, str] = Field(default_factory=dict)
    acknowledged: tuple[str, ...] = ()
    states: dict[str, str] = Field(default_factory=dict)
    messages: tuple[str, ...]

    @field_validator("samples", "left", "states", mode="before")
    @classmethod
    def _one_word_may_be_a_number(cls, value: Any) -> Any:
        return {k: str(v) for k, v in value.items()} if isinstance(value, dict) else value


def load_tests(path: Path) -> list[RuleTest]:
    """The tests of a file.

    :raises RuleTestError: when it cannot be read or does not have the form above.
    """
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise RuleTestError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, list):
        raise RuleTestError(f"{path} must hold a list of tests, each starting with - name:")
    try:
        return [RuleTest.model_validate(entry) for entry in content]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RuleTestError(f"{path}: {where or 'a test'}: {first['msg']}") from None


def run(test: RuleTest) -> str:
    """What differs from the expectations, as a diff (− expected, + found); empty when the test passes.

    :raises RuleTestError: when a sample, a time or a setting of the test cannot be used.
    """
    try:
        return _run(test)
    except (RuleTestError, SettingsError) as error:
        raise RuleTestError(f"{test.name}: {error}") from None


def overlaid(over: Mapping[str, Any]) -> Settings:
    """The settings in force with some laid over them.

    :raises SettingsError: when they do not fit.
    """
    try:
        return load(over)
    except SettingsError as error:
        raise SettingsError(f"settings.{error}") from None


def sends(decision: Decision) -> bool:
    """Whether the decision is a message of its own."""
    return decision.action is not Action.NOTHING and not decision.grouped


def told(decision: Decision) -> str:
    """What a message says, in a line: action, rule, severity and level, whom it calls, whom else it speaks for."""
    alert = decision.after
    parts = [str(decision.action), rule_name(decision.rule, decision.company_id)]
    if alert is not None and decision.action is not Action.RESOLVE:
        parts += [str(alert.severity), f"level {alert.level}"]
    parts += ["worse"] * decision.moved + ["on-call"] * decision.mention + ["proposal"] * decision.toggle
    if decision.companies:
        parts.append(f"for {len(decision.companies)} companies")
    if decision.hides:
        parts.append(f"hiding {', '.join(decision.hides)}")
    return " ".join(parts)


def rule_name(rule: str, company_id: int) -> str:
    """A rule, and the company unless it is all of them."""
    return f"{rule} company {company_id}" if company_id else rule


def _run(test: RuleTest) -> str:
    settings = overlaid(test.settings)
    rows = {_key(name): _words(row) for name, row in test.samples.items()}
    left = {_key(name): _words(row) for name, row in test.left.items()}
    times = _times(test.checks, max(map(len, rows.values())), settings.zone)
    for part, of_part in (("samples", rows), ("left", left)):
        for key, words in of_part.items():
            if len(words) != len(times):
                raise RuleTestError(
                    f"{part}.{rule_name(*key)} has {len(words)} words for {len(times)} checks"
                )
    scene = _Scene(settings, [_reaction(text) for text in test.acknowledged])
    for number, as_of in enumerate(times):
        now = {key: words[number] for key, words in rows.items() if words[number] != "-"}
        asked = {key: _share(key, words[number]) for key, words in left.items() if words[number] != "-"}
        scene.check(
            as_of, [judge(_sample(key, word, as_of, settings), settings) for key, word in now.items()], asked
        )
    expected = [f"{name}: {' '.join(_words(row))}" for name, row in test.states.items()] + list(test.messages)
    found = [f"{name}: {' '.join(scene.states.get(_key(name), ()))}" for name in test.states] + scene.messages
    return "\n".join(difflib.unified_diff(expected, found, "expected", "found", lineterm="", n=1000))


@dataclass
class _Scene:
    """The checks of one test and what they told."""

    settings: Settings
    reactions: Sequence[tuple[str, Key, str]]
    ledger: Ledger = field(default_factory=Ledger)
    standing: list[Acknowledgement] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    states: dict[Key, list[str]] = field(default_factory=dict)

    def check(self, as_of: datetime, verdicts: Sequence[Verdict], left: Recheck) -> None:
        now = f"{as_of.astimezone(self.settings.zone):%a %H:%M}"
        for at, key, user in self.reactions:
            alert = self.ledger.open_alerts.get(key)
            if at == now and alert and alert.id:
                self.standing.append(Acknowledgement(alert.id, user, as_of))
        decisions = decide(verdicts, self.ledger.standing, self.standing, self.settings, as_of, left)
        self.ledger.keep(as_of, verdicts, decisions, self.settings)
        self.messages += [f"{now} {told(d)}" for d in decisions if sends(d)]
        for verdict in verdicts:
            self.states.setdefault((verdict.metric, verdict.company_id), []).append(str(verdict.state))


def _key(name: str) -> Key:
    rule, _, company = name.partition(" company ")
    return rule, int(company or ALL_COMPANIES)


def _words(row: str) -> list[str]:
    """``a bx2`` as a, b, b."""
    words: list[str] = []
    for word in row.split():
        repeated = re.fullmatch(r"(.+)x(\d+)", word)
        words += [repeated[1]] * int(repeated[2]) if repeated else [word]
    return words


def _times(checks: str, number: int, zone: ZoneInfo) -> list[datetime]:
    local = datetime.combine(MONDAY, time(8))
    if not checks:
        return [(local.replace(tzinfo=zone) + timedelta(hours=n)).astimezone(UTC) for n in range(number)]
    times: list[datetime] = []
    for word in checks.split():
        try:
            at = datetime.combine(local.date(), time.fromisoformat(word))
        except ValueError:
            raise RuleTestError(f"checks: {word!r} is not a time of day: write it like 08:00") from None
        local = at if not times or at >= local else at + timedelta(days=1)
        times.append(local.replace(tzinfo=zone).astimezone(UTC))
    return times


def _reaction(text: str) -> tuple[str, Key, str]:
    match = re.fullmatch(r"(\w{3} \d\d:\d\d) (.+) by (\w+)", text)
    if not match:
        raise RuleTestError(f"acknowledged: {text!r} does not read like Mon 09:00 cache_miss_spike by U0123")
    return match[1], _key(match[2]), match[3]


def _share(key: Key, word: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", word)
    if not match:
        raise RuleTestError(f"left.{rule_name(*key)}: {word!r} is not a share: write it like 2/6")
    return int(match[1]), int(match[2])


def _sample(key: Key, word: str, as_of: datetime, settings: Settings) -> Sample:
    metric, company = key
    if metric not in settings.metrics and metric not in settings.log_rules:
        raise RuleTestError(f"samples.{metric} is neither a metric nor a log rule of the settings")
    rule, blank = settings.rule(metric), Sample(metric, Window(as_of, as_of), company)
    if word in LOSSES:
        return blank.lost(LOSSES[word], f"{word} in this test")
    if isinstance(rule, Metric) and rule.budget is not None:
        return measured(blank, _counts(metric, word, rule.budget), rule)
    first, sign, second = word.partition("/" if getattr(rule, "kind", "") == "rate" else "@")
    try:
        value, population = float(first), float(second) if sign else None
    except ValueError:
        raise RuleTestError(f"samples.{metric}: {word!r} is not a sample") from None
    match rule:
        case Metric(kind="rate"):
            share = 100 * value / population if population else None
            return replace(blank, value=share, numerator=value, denominator=population)
        case Metric(kind="mean"):
            return replace(blank, value=value, numerator=value * (population or 0), denominator=population)
        case Metric(kind="count") if rule.failing:
            ids = list(range(1, int(value) + 1))
            return replace(blank, value=value, numerator=value, denominator=population, detail={"ids": ids})
        case _:
            return replace(blank, value=value, numerator=value, denominator=population)


def _counts(metric: str, word: str, budget: Budget) -> Counts:
    """What each window holds: each holds the shorter ones, so counts fall from the longest on."""
    shares = word.split(",")
    if not all(re.fullmatch(r"\d+/\d+", share) for share in shares) or len(shares) > len(budget.lengths):
        raise RuleTestError(
            f"samples.{metric}: {word!r} is not a sample: write failing/total of up to {len(budget.lengths)} windows,"
            " such as 20/900,1/80"
        )
    shares += [shares[-1]] * (len(budget.lengths) - len(shares))
    counts = [Count(*map(int, share.split("/"))) for share in shares]
    return dict(zip(budget.lengths, counts, strict=True))


def main(paths: Sequence[str]) -> int:
    """Run the tests of files and print what differs; 0 when everything passed, 2 when a test cannot be run."""
    if not paths:
        print("name a file: python -m processing_time.rule_tests FILE…", file=sys.stderr)
        return 2
    failed = total = 0
    for path in map(Path, paths):
        try:
            for test in load_tests(path):
                difference = run(test)
                total, failed = total + 1, failed + bool(difference)
                print(f"{'FAILED' if difference else 'passed'}  {path.name}: {test.name}")
                if difference:
                    print(difference)
        except RuleTestError as error:
            print(error, file=sys.stderr)
            return 2
    print(f"{total - failed} of {total} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
