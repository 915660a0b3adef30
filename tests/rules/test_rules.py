# SPDX-License-Identifier: MIT
"""The alert rules as they are shipped, tested the way a user tests rules: files of samples in, messages out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processing_time.rule_tests import RuleTest, RuleTestError, load_tests, main, run
from processing_time.settings import Metric, Settings, load

FILES = sorted(Path(__file__).parent.glob("*.yaml"))
TESTS = [(file.stem, test) for file in FILES for test in load_tests(file)]
SHIPPED = load()
KEYS = [*SHIPPED.metrics, *SHIPPED.log_rules]


@pytest.mark.parametrize("test", [test for _, test in TESTS], ids=[f"{stem}: {t.name}" for stem, t in TESTS])
def test_rule(test: RuleTest) -> None:
    difference = run(test)
    assert not difference, "\n" + difference


@pytest.mark.parametrize("key", KEYS)
def test_every_shipped_rule_has_firing_not_firing_no_data_and_recovery(key: str) -> None:
    told = [t for _, t in TESTS if key in t.states]
    states = {word.split("x")[0] for t in told for word in t.states[key].split()}
    messages = "\n".join(m for t in told for m in t.messages)
    speaks_as = key if _alerts(key, SHIPPED) else rf"(source\.\w+|{key})\.unknown"
    assert states & {"ok", "degraded"}, "not firing"
    assert states & {"insufficient_data", "unknown"}, "no data"
    assert re.search(rf" open {speaks_as} ", messages), "firing"
    assert re.search(rf" resolve {speaks_as}$", messages, re.MULTILINE), "recovery"


def _alerts(key: str, settings: Settings) -> bool:
    rule = settings.rule(key)
    return not isinstance(rule, Metric) or rule.alert is not None or rule.budget is not None


WRONG = """
- name: expects the wrong check
  samples: {cache_miss_spike: 500 0x2}
  states: {cache_miss_spike: alert okx2}
  messages:
    - Mon 09:00 open cache_miss_spike medium level 1
    - Mon 10:00 resolve cache_miss_spike
"""


def test_a_failing_test_shows_what_was_expected_and_what_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(WRONG)
    assert main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "FAILED  own.yaml: expects the wrong check"
    assert "-Mon 09:00 open cache_miss_spike medium level 1" in lines
    assert "+Mon 08:00 open cache_miss_spike medium level 1" in lines
    assert " Mon 10:00 resolve cache_miss_spike" in lines
    assert lines[-1] == "0 of 1 passed"


def test_passing_tests_end_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(WRONG.replace("Mon 09:00 open", "Mon 08:00 open"))
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 passed"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("500 0x2}", "500 zero 0}", "samples.cache_miss_spike: 'zero' is not a sample"),
        (
            "{cache_miss_spike: 500 0x2}",
            "{cache_mis: 1}",
            "samples.cache_mis is neither a metric nor a log rule",
        ),
        ("samples:", "checks: 08:00 9 10:00\n  samples:", "checks: '9' is not a time of day"),
        ("samples:", "checks: 08:00\n  samples:", "samples.cache_miss_spike has 3 words for 1 checks"),
        ("samples:", "settings: {escalation: {for_check: 1}}\n  samples:", "settings.escalation.for_check"),
        ("samples:", "acknowledged: [soon]\n  samples:", "'soon' does not read like"),
        ("samples:", "left: {cache_miss_spike: 2/2}\n  samples:", "left.cache_miss_spike has 1 words for 3"),
        ("samples:", "left: {stale_phases: twox3}\n  samples:", "left.stale_phases: 'two' is not a share"),
        ("samples:", "sample:", "samples: Field required"),
        ("- name", "tests:\n- name", "must hold a list of tests"),
        ("- name", "- - {", "cannot be read"),
    ],
)
def test_a_test_that_cannot_be_run_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, sentence: str
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(WRONG.replace(old, new, 1))
    assert main([str(file)]) == 2
    assert sentence in capsys.readouterr().err


def test_without_a_file_it_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "python -m processing_time.rule_tests FILE" in capsys.readouterr().err


def test_an_absent_file_is_an_error() -> None:
    with pytest.raises(RuleTestError, match="cannot be read"):
        load_tests(Path("no-such-file.yaml"))
