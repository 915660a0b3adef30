# SPDX-License-Identifier: MIT
"""Every command in the documentation is run by a test, or its page says that it is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")],
    key=lambda page: page.relative_to(PROJECT),
)
INSTALL = "tests/integration/test_install.py::test_the_page_leads_to_a_working_installation"
RUN_BY = {
    r"make lint( test)?$": ".ci/run",
    r"make demo( |$)": "tests/integration/test_demo_data.py::test_every_scenario_comes_out_as_expected_and_tells_nothing_personal",
    r"make doctor$": "tests/integration/test_doctor.py::test_the_status_says_whether_something_needed_is_broken",
    r"make replay ": "tests/integration/test_replay.py::test_the_command_reads_the_store_and_writes_nothing",
    r"(make test-rules|(PYTHONPATH=\S+ )?python -m processing_time.rule_tests)": "tests/rules/test_rules.py::test_passing_tests_end_well",
    r"make settings-docs$": "tests/unit/test_docs.py::test_the_tables_of_settings_are_those_of_the_model",
    r"make bench( |$)": "tests/integration/test_benchmarks.py::test_a_part_gives_figures_that_can_be_told_apart",
    r"PYTHONPATH=\S+ python tests/unit/test_(burn_rate_)?simulation.py": (
        "tests/unit/test_simulation.py::test_the_documented_table_is_what_the_simulation_gives"
    ),
    r"make bench-docs$": "tests/unit/test_performance.py::test_the_documentation_shows_what_was_measured",
    r"airflow celery worker ": (
        "tests/distributed/test_log_hosts.py::test_each_host_is_read_by_its_own_worker_and_nothing_is_missing"
    ),
    r"(airflow|cp) ": INSTALL,
    r"(PYTHONPATH=\S+ )?python -m processing_time\.(doctor|replay)": INSTALL,
    r"python -m processing_time\.migrate$": (
        "tests/integration/test_migrate.py::test_the_tables_are_made_and_a_second_time_does_nothing"
    ),
    r"php artisan cache:clear$": "tests/integration/test_artisan_laravel.py::test_the_cache_store_is_emptied",
    r"php artisan queue:retry$": (
        "tests/integration/test_artisan_laravel.py::test_failed_syncs_are_retried_and_no_other_job"
    ),
    r"php artisan config:cache$": (
        "tests/integration/test_artisan_laravel.py::test_disabling_is_for_everybody_and_enabling_goes_back"
    ),
    r"\.venv/bin/python -m pytest tests/sql/test_unstaffed": (
        "tests/integration/test_docs.py::test_a_new_metric_is_one_query_one_entry_and_one_test"
    ),
    r"(grep|ls|redis-cli|tail -n) ": "tests/integration/test_docs.py::test_the_shell_commands_of_the_runbook_run",
}
"""What a command starts with, and the test that runs it (what `make` adds to the program that is tested is one line)."""
_NOT_RUN = re.compile(r"Not run by a test: ((?:`[^`]+`(?:,\s+| and )?)+)")
_PROGRAMS = r"make|airflow|docker|python|php artisan|pip|\.venv/bin/\S+|redis-cli|PYTHONPATH=\S+ python"


def commands(page: Path) -> list[str]:
    """The commands of a page: the lines of its shell blocks that do more than set a variable, and code within a line."""
    text = page.read_text(encoding="utf-8")
    found = [
        re.sub(r"\s+# .*", "", line.strip())
        for _, language, block in re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if (language == "bash" and not re.match(r"\s*[A-Z_]+=(\S+$|')", line))
        or (not language and re.match(rf"\s*({_PROGRAMS}) ", line))
    ]
    prose = re.sub(r"^( *)```.*?^\1```$", "", _NOT_RUN.sub("", text), flags=re.MULTILINE | re.DOTALL)
    found += re.findall(rf"`((?:{_PROGRAMS}) [^`]+)`", prose)
    return [command for command in found if not re.match(r"make test\b(?!-rules)", command)]  # a test itself


def run_by(command: str) -> str:
    """The test that runs a command; empty when none does."""
    return next((test for pattern, test in RUN_BY.items() if re.match(pattern, command)), "")


def not_run(text: str) -> tuple[str, ...]:
    """How the commands start of which a page says that no test runs them."""
    return tuple(start for listed in _NOT_RUN.findall(text) for start in re.findall(r"`([^`]+)`", listed))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_run_or_said_not_to_be(page: Path) -> None:
    without = not_run(page.read_text(encoding="utf-8"))
    shown = commands(page)
    for command in shown:
        said = command.startswith(without) if without else False
        assert run_by(command) or said, (
            f"{page.name}: no test runs {command!r}; say so with 'Not run by a test: `…`'"
        )
    for start in without:
        assert any(command.startswith(start) for command in shown), f"{page.name} does not show {start!r}"


@pytest.mark.parametrize("pattern", RUN_BY)
def test_the_test_that_runs_a_command_is_there(pattern: str) -> None:
    assert any(re.match(pattern, command) for page in PAGES for command in commands(page))
    file, _, name = RUN_BY[pattern].partition("::")
    text = (PROJECT / file).read_text(encoding="utf-8")
    assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE)
