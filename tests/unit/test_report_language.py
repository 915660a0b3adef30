# SPDX-License-Identifier: MIT
"""Every text of the reports has its German, with the same names to fill in, and nothing else is in the catalogue."""

from __future__ import annotations

import ast
import re
import string
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po

from processing_time.findings import SOURCES
from processing_time.messages.context import rule_text
from processing_time.reports.document import Answer
from processing_time.reports.language import TEMPLATES, Language
from processing_time.settings import load

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "processing_time"
CODE = [*PACKAGE.glob("reports/*.py"), PACKAGE / "messages" / "reports.py", *PACKAGE.glob("operators/*.py")]
BERLIN = ZoneInfo("Europe/Berlin")
EN, DE = Language("en", BERLIN), Language("de", BERLIN)


def texts_in_code() -> set[str]:
    """What is said: the texts that calls of ``say``, ``count`` and ``unit`` are given."""
    found = set()
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            for argument in node.args[: {"say": 1, "count": 2, "unit": 1}.get(name, 0)]:
                found |= literals(argument)
    page = (TEMPLATES / "report.html").read_text(encoding="utf-8")
    return found | set(re.findall(r'say\("([^"]+)"', page))


def literals(node: ast.expr) -> set[str]:
    if isinstance(node, ast.IfExp):
        return literals(node.body) | literals(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def texts_in_settings() -> set[str]:
    """What comes from the shipped settings: titles, populations, units."""
    settings = load()
    found = {rule.title for rule in (*settings.metrics.values(), *settings.log_rules.values())}
    for metric in settings.metrics.values():
        found |= {metric.population, metric.unit} - {""}
    return found


NEITHER = {"%", "ms", "×"}
"""Units that are the same in every language."""


def catalogue() -> dict[str, str]:
    with (TEMPLATES / "de.po").open("rb") as file:
        return {m.id: m.string for m in read_po(file, locale="de") if m.id}


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_texts_are_found():
    assert len(texts_in_code()) > 60


@pytest.mark.parametrize("text", sorted((texts_in_code() | texts_in_settings() | set(Answer)) - NEITHER))
def test_every_text_has_its_german(text: str):
    assert catalogue().get(text), text


def test_a_translation_fills_in_the_same_names():
    assert [text for text, german in catalogue().items() if names(text) != names(german)] == []


def test_numbers_dates_and_times():
    day, at = date(2026, 3, 23), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert (EN.number(12345.678, 1), DE.number(12345.678, 1)) == ("12,345.7", "12.345,7")
    assert (EN.signed(-0.004, 2), EN.signed(1.5, 1), DE.signed(-1234)) == ("±0.00", "+1.5", "−1.234")
    assert (EN.quantity(99.2, "%", 2), DE.quantity(99.2, "%", 2)) == ("99.20\u00a0%", "99,20\u00a0%")
    assert (EN.day(day), DE.day(day)) == ("Mon 23 Mar", "Mo. 23. März")
    assert (EN.weekday(day), DE.weekday(day)) == ("Mon 23", "Mo. 23.")
    assert (EN.period(day, date(2026, 3, 29)), DE.period(day, date(2026, 3, 29))) == (
        "23 Mar 2026 – 29 Mar 2026",
        "23.03.2026 – 29.03.2026",
    )
    assert (EN.clock(at), DE.clock(at)) == ("Sun 29 Mar 03:30", "So. 29. März 03:30")
    assert (EN.elapsed(timedelta(hours=26, minutes=5)), DE.elapsed(timedelta(minutes=65))) == (
        "1\u00a0d 2\u00a0h",
        "1\u00a0Std. 5\u00a0Min.",
    )
    assert (EN.elapsed(timedelta(seconds=30)), DE.elapsed(timedelta(seconds=30))) == (
        "under a minute",
        "unter einer Minute",
    )


def test_singular_and_plural():
    assert [EN.count("{n} check", "{n} checks", n) for n in (0, 1, 2)] == ["0 checks", "1 check", "2 checks"]


def test_a_name_of_the_user_stays_as_it_is():
    assert DE.say("Unser eigener Wert") == "Unser eigener Wert"


@pytest.mark.parametrize("source", SOURCES)
def test_lost_measurements_have_their_german(source: str):
    assert DE.say(rule_text(f"source.{source}.unknown", load())) in catalogue().values()


def test_a_count_stands_in_no_case_that_its_word_does_not_have():
    """``Termine`` is what the catalogue has, and "von 5 Termine" is no German."""
    wrong = re.compile(r"\b(?:von|aus|bei|mit)\b[^:]*\{(?:population|counted)\}")
    assert [german for german in catalogue().values() if wrong.search(german)] == []


def test_both_reports_have_the_same_words_for_the_same_thing():
    week, month = DE.say("Processing Time, week {week}", week=1), DE.say("Processing Time: {month}", month="")
    assert week.partition(",")[0] == month.partition(":")[0]
    assert DE.say("Company") in DE.say("Roll-out by company")
    assert DE.say("company {company}", company=7) == f"{DE.say('Company')} 7"
