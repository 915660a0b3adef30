# SPDX-License-Identifier: MIT
"""A demo says what is not as expected: a state, a value, an alert, a message that is owed, a number that is miscounted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from demo import report
from demo.account import Account, Flags
from demo.scenarios import Expected
from demo.traffic import Plan, generate

AS_OF = datetime(2026, 3, 10, 13, tzinfo=UTC)
SINCE = datetime(2026, 3, 10, 12, tzinfo=UTC)
ACCOUNT = generate(Plan(AS_OF, days=2))
FIGURES = ACCOUNT.figures(AS_OF, SINCE)


def naive(instant: datetime) -> datetime:
    return instant.replace(tzinfo=None)


def sample(name: str, **more: Any) -> dict[str, Any]:
    numerator, denominator = FIGURES[name]
    return {
        "metric": name,
        "window_start": naive(SINCE),
        "window_end": naive(AS_OF),
        "value": 99.5,
        "numerator": numerator,
        "denominator": denominator,
        "state": "ok",
        "reason": "",
        "detail": json.dumps({"threshold": "< 95 %"}),
        **more,
    }


KEPT = report.Kept(
    check={"as_of": naive(AS_OF), "state": "ok"},
    samples={name: sample(name) for name in ("phase_creation_success_rate", "observer_disabled")},
    alerts=[{"id": 1, "rule": "a", "state": "resolved", "severity": "high", "level": 2}],
    notifications=[{"alert_id": 1, "kind": "opened", "delivered_at": naive(AS_OF)}],
)
EXPECTED = Expected(
    states={"phase_creation_success_rate": "ok"},
    below={"phase_creation_success_rate": 100},
    opened=frozenset({"a"}),
    resolved=frozenset({"a"}),
)


def wrong(kept: report.Kept = KEPT, expected: Expected = EXPECTED, account: Account = ACCOUNT) -> list[str]:
    return [sentence for sentence, holds in report.differences(kept, expected, account) if not holds]


def with_sample(**changes: Any) -> report.Kept:
    name = "phase_creation_success_rate"
    return replace(KEPT, samples={**KEPT.samples, name: {**KEPT.samples[name], **changes}})


def test_nothing_is_wrong_when_all_is_as_expected() -> None:
    assert wrong() == []


@pytest.mark.parametrize(
    ("kept", "expected", "sentence"),
    [
        pytest.param(with_sample(state="alert"), EXPECTED, "is ok, but it is alert", id="state"),
        pytest.param(
            replace(KEPT, samples={"observer_disabled": sample("observer_disabled")}),
            EXPECTED,
            "not measured",
            id="no-row",
        ),
        pytest.param(with_sample(value=100.0), EXPECTED, "is below 100: 100", id="value-at-the-bound"),
        pytest.param(with_sample(value=None), EXPECTED, "is below 100: –", id="no-value"),
        pytest.param(KEPT, replace(EXPECTED, opened=frozenset()), "alerts opened: none, but", id="opened"),
        pytest.param(
            KEPT, replace(EXPECTED, resolved=frozenset()), "alerts resolved: none, but", id="resolved"
        ),
        pytest.param(
            replace(KEPT, notifications=[{"alert_id": 1, "kind": "opened", "delivered_at": None}]),
            EXPECTED,
            "but 1 were not",
            id="owed",
        ),
        pytest.param(with_sample(numerator=1.0), EXPECTED, "counting the generated rows", id="miscounted"),
        pytest.param(
            replace(
                KEPT, samples={**KEPT.samples, "cache_miss_spike": sample("cache_miss_spike", value=-1.0)}
            ),
            EXPECTED,
            "cache_miss_spike found -1.0 at most",
            id="burst",
        ),
        pytest.param(KEPT, replace(EXPECTED, account={"fewer": lambda _: False}), "fewer", id="account"),
    ],
)
def test_each_difference_is_a_sentence(kept: report.Kept, expected: Expected, sentence: str) -> None:
    said = wrong(kept, expected)
    assert any(sentence in each for each in said), said


def test_what_could_not_be_measured_is_not_miscounted() -> None:
    kept = with_sample(state="unknown", numerator=None, denominator=None, value=None)
    assert wrong(kept, Expected(opened=frozenset({"a"}), resolved=frozenset({"a"}))) == []


def test_the_count_follows_the_flags() -> None:
    other = replace(ACCOUNT, flags=Flags(company_whitelist=(1,)))
    assert any("phase_creation_success_rate was made from" in each for each in wrong(account=other))


def shown(*parts: Any) -> str:
    console = Console(file=StringIO(), width=120)
    for part in parts:
        console.print(part)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_table_shows_value_window_threshold_state_and_reason() -> None:
    kept = with_sample(state="alert", value=94.0, reason="6 of 100 without phases")
    text = shown(
        report.check_table(kept, ["phase_creation_success_rate"], {"phase_creation_success_rate": "%"})
    )
    assert "94 %" in text
    assert "Tue 13:00 – 14:00" in text
    assert "< 95 %" in text
    assert "phase_creation_success_rate: 6 of 100 without phases" in text


def test_each_message_is_told_with_its_check() -> None:
    assert shown(*report.check_lines(KEPT, 0)).splitlines()[-1].split() == [
        "→",
        "opened",
        "a",
        "high,",
        "level",
        "2",
    ]
    assert "opened" not in shown(*report.check_lines(KEPT, 1))
