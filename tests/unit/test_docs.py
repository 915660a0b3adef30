# SPDX-License-Identifier: MIT
"""The documentation keeps up with the code: every alert has its section, every setting its row, every link its target."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from processing_time import __version__
from processing_time.checkup import SCOPES
from processing_time.evaluation import threshold_text
from processing_time.findings import SOURCES, UNKNOWN, source_rule
from processing_time.incident.action import Outcome
from processing_time.incident.registry import REGISTRY
from processing_time.messages.context import Context
from processing_time.rule_tests import load_tests, run
from processing_time.settings import LogRule, Metric, Settings, load
from scripts.settings_reference import _settings, refreshed

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
PAGES = sorted(
    [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", PROJECT / "CHANGELOG.md", *DOCS.rglob("*.md")]
)
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page: its headings in small letters, and explicit ones."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = (
        re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", h) for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    )
    slugs = {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def alerts() -> list[str]:
    """Every name under which something may alert with the shipped settings."""
    settings = load()
    keys = [*settings.metrics, *settings.log_rules]
    return [*keys, *(key + UNKNOWN for key in keys), *map(source_rule, SOURCES)]


@pytest.mark.parametrize("rule", alerts())
def test_every_alert_has_a_section_in_the_runbook(rule):
    assert rule in anchors(DOCS / "runbook.md")


@pytest.mark.parametrize("rule", alerts())
def test_the_link_in_a_message_leads_to_a_section(rule):
    link = Context(load(), as_of=None, summary=None).runbook(rule)
    assert link.partition("#")[2] in anchors(DOCS / "runbook.md")


@pytest.mark.parametrize("rule", [rule for rule in alerts() if rule.endswith(UNKNOWN)])
def test_the_link_of_a_lost_measurement_leads_to_its_own_section(rule):
    _, _, below = read("runbook.md").partition(f'<a id="{rule}"></a>')
    heading = re.search(r"^## (.*)$", below, re.MULTILINE)[1]
    link = Context(load(), as_of=None, summary=None).runbook(rule)
    assert link.partition("#")[2] == re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_section_about_an_alert_says_what_to_see_to_do_and_when_it_worked():
    sections = re.split(r"^## ", read("runbook.md"), flags=re.MULTILINE)
    keys = {*load().metrics, *load().log_rules}
    named = {section.partition("\n")[0]: section for section in sections}
    for key in keys:
        for part in (
            "**What it means.**",
            "**See it",
            "**Do." if "**Do.**" in named[key] else "do.**",
            "**Worked when**",
        ):
            assert part in named[key], f"{key} lacks {part}"


def test_metrics_page_describes_every_metric_and_rule_with_its_bounds():
    rows = {
        match[1]: line
        for line in read("metrics.md").splitlines()
        if (match := re.match(r"\| \[`(\w+)`\]\(#\1\) \|", line))
    }
    settings = load()
    assert rows.keys() == settings.metrics.keys() | settings.log_rules.keys()
    assert rows.keys() <= anchors(DOCS / "metrics.md")
    for key, row in rows.items():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        rule = settings.rule(key)
        if isinstance(rule, Metric) and rule.budget is not None:
            assert threshold_text(rule) in row
            continue
        assert bounds(rule) == [
            number(cell) for cell in (cells[4:7] if isinstance(rule, Metric) else cells[2:3])
        ], row


def test_the_readme_has_every_metric_and_rule_with_its_bounds():
    rows = re.findall(
        r"^\| \[`(\w+)`\]\(docs/metrics\.md#\1\) \| (.*) \|$",
        (PROJECT / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    settings = load()
    assert {key for key, _ in rows} == settings.metrics.keys() | settings.log_rules.keys()
    for key, row in rows:
        cells, rule = row.split(" | "), settings.rule(key)
        if isinstance(rule, LogRule):
            assert (bounds(rule), cells[2].lower()) == ([number(cells[0])], rule.severity), key
        elif rule.budget is None:
            assert bounds(rule) == [number(cell) for cell in cells[2:5]], key


def bounds(rule: Metric | LogRule) -> list[float | None]:
    return [rule.target, rule.alert, rule.critical] if isinstance(rule, Metric) else [rule.more_than]


def number(cell: str) -> float | None:
    found = re.search(r"\d+", cell)
    return float(found[0]) if found else None


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings below a model; ``<key>`` for the names that users choose."""
    for name, field in model.model_fields.items():
        yield from _path(field.annotation, prefix + (field.alias or name))


def _path(annotation: Any, path: str) -> Iterator[str]:
    inner = [
        a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)
    ]
    if not inner:
        yield path
    elif getattr(annotation, "__origin__", None) is dict:
        yield from paths(inner[0], f"{path}.<key>.")
    else:
        yield from paths(inner[0], f"{path}.")


def test_settings_page_lists_every_setting_and_no_other():
    listed = re.findall(r"^\| `([^`]+)` \|", read("settings.md"), re.MULTILINE)
    shared = set(paths(Metric, "metrics.<key>.")) & {
        p.replace("log_rules", "metrics") for p in paths(LogRule, "log_rules.<key>.")
    }
    known = set(paths(Settings)) - {p.replace("metrics", "log_rules") for p in shared}
    assert sorted(listed) == sorted(known)
    for path in shared:
        assert f"`{path.removeprefix('metrics.<key>.')}`" in read("settings.md").partition("## metrics")[2]


def test_the_tables_of_settings_are_those_of_the_model():
    assert refreshed(read("settings.md")) == read("settings.md"), "run: make settings-docs"


def test_settings_page_shows_the_defaults():
    shipped = yaml.safe_load((PROJECT / "include" / "monitoring.yaml").read_text(encoding="utf-8"))
    rows = re.findall(r"^\| `([^`<]+)` \| ([^|]+) \| ([^|]+) \|", read("settings.md"), re.MULTILINE)
    assert len(rows) > 40
    for path, shown, takes in rows:
        value: Any = shipped
        for part in path.split("."):
            value = value[part] if isinstance(value, dict) else ...
        if value is ...:  # of an item of a list, of which none is shipped
            continue
        if isinstance(value, dict):
            assert (shown, takes) == ("see the file", "mapping"), path
            continue
        values = value if isinstance(value, list) and value else [value]
        told = ", ".join(f"`{v if isinstance(v, str) else json.dumps(v)}`" for v in values)
        assert shown == told, path
        assert isinstance(value, list) == takes.startswith("list: "), path


def test_a_setting_without_a_meaning_is_named():
    class Bare(BaseModel):
        """Has a field with nothing below it."""

        told: int = 1
        """how often"""
        silent: int = 1

    with pytest.raises(LookupError, match=r"^slack.silent has no meaning"):
        list(_settings(Bare, {}, "slack."))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_make_exist(page):
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = {
        name
        for names in re.findall(r"^([a-z][a-z -]*):(?!=)", makefile, re.MULTILINE)
        for name in names.split()
    }
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE)
    assert set(named) <= targets


def test_examples_of_settings_are_valid(tmp_path, monkeypatch):
    for page in ("settings.md", "install.md", "alerts.md"):
        for example in re.findall(r"```yaml\n(?!- )(.*?)```", read(page), re.DOTALL):
            own = tmp_path / "own.yaml"
            own.write_text(example, encoding="utf-8")
            monkeypatch.setenv("PROCESSING_TIME_CONFIG", str(own))
            load()


def test_the_example_of_a_rule_test_passes(tmp_path):
    (example,) = re.findall(r"```yaml\n(- .*?)```", read("alerts.md"), re.DOTALL)
    file = tmp_path / "own-rules.yaml"
    file.write_text(example, encoding="utf-8")
    assert [run(test) for test in load_tests(file)] == [""]


def test_variables_of_the_examples_are_valid(monkeypatch):
    named = re.findall(r"^(PROCESSING_TIME__\w+)='?(.*?)'?$", read("settings.md"), re.MULTILINE)
    assert named
    for name, value in named:
        monkeypatch.setenv(name, value)
    assert not load().metrics["phase_creation_time"].enabled


def test_scopes_are_those_of_the_manifest():
    manifest = yaml.safe_load(read("slack-app-manifest.yaml"))
    assert set(SCOPES) == set(manifest["oauth_config"]["scopes"]["bot"])
    assert set(re.findall(r"`(\w+:\w+)`", read("slack.md"))) == set(SCOPES)


def test_the_metrics_page_shows_the_simulations():
    tables = re.findall(r"(?:^\|.*\n)+", read("simulation-table.md"), re.MULTILINE)
    assert len(tables) == 2
    assert all(table in read("metrics.md") for table in tables)


def test_the_index_names_every_page():
    index = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)", read("README.md"))}
    pages = [*DOCS.glob("*.md"), DOCS / "decisions", PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"]
    assert {page for page in pages if page.name != "README.md"} <= index


def test_the_version_is_the_newest_of_the_changelog():
    heading = re.findall(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading[0] == __version__
    assert f"Version {__version__} (" in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_git_hooks_make_the_checks_of_continuous_integration():
    checks = re.findall(r"^make .*$", (PROJECT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = config["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == checks
    assert {stage for hook in hooks for stage in hook["stages"]} == set(config["default_install_hook_types"])


def test_make_runs_every_test_that_is_not_set_apart():
    tests = PROJECT / "tests"
    options = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    there = {
        f"tests/{folder.name}"
        for folder in tests.iterdir()
        if folder.is_dir() and any(folder.rglob("test_*.py"))
    }
    assert there - set(options["ini_options"]["testpaths"]) == {"tests/distributed"}


def test_include_may_lie_in_plugins(tmp_path):
    """As for platforms that bring nothing else to their workers."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "plugins", tmp_path / "plugins", ignore=ignored)
    shutil.copytree(PROJECT / "include", tmp_path / "plugins" / "include", ignore=ignored)
    assert not list((tmp_path / "plugins" / "include").rglob("*.py"))
    program = (
        "from processing_time import settings; from processing_time.reports.language import TEMPLATES;"
        "settings.load(); print(settings.ROOT, TEMPLATES.is_dir())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path / "plugins"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == f"{tmp_path / 'plugins'} True\n"


def test_decisions_are_numbered_once_each():
    numbers = [page.name[:4] for page in (DOCS / "decisions").glob("*.md")]
    assert sorted(numbers) == sorted(set(numbers))
    assert all(re.fullmatch(r"\d{4}", n) for n in numbers)


def test_the_incident_page_and_the_form_agree():
    page = read("incident.md")
    fields = re.findall(r"^\| `(\w+)` \|", page.partition("## What happens then")[0], re.MULTILINE)
    tree = ast.parse((PROJECT / "dags" / "processing_time_incident.py").read_text(encoding="utf-8"))
    (params,) = (
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "params" and isinstance(keyword.value, ast.Dict)
    )
    assert fields == [key.value for key in params.keys]
    described = re.findall(r'<a id="(\w+)"></a>', page)
    headings = re.findall(r"`(\w+)`", " ".join(re.findall(r"^###? (.*)$", page, re.MULTILINE)))
    assert sorted(described) == sorted(headings) == sorted(REGISTRY)
    outcomes = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \| (?:green|red)", page, re.MULTILINE)))
    assert sorted(outcomes) == sorted(Outcome)


def test_every_alert_says_what_to_press_and_the_form_has_it():
    sections = re.split(r"^## ", read("runbook.md"), flags=re.MULTILINE)
    known = {*load().metrics, *load().log_rules}
    alerts = [
        s for s in sections if s.partition("\n")[0] in known or "cannot be read" in s.partition("\n")[0]
    ]
    assert len(alerts) == len(known) + len(SOURCES)
    for section in alerts:
        (pressed,) = re.findall(r"^\*\*Press\.\*\* (.*?)\n\n", section, re.MULTILINE | re.DOTALL)
        assert re.search(r"\[`\w+`\]\(incident\.md#", pressed), section.partition("\n")[0]
    named = re.findall(r"\[`(\w+)`\]\(incident\.md#(\w+)\)", read("runbook.md"))
    assert {action for action, _ in named} <= set(REGISTRY)
    assert all(action == anchor for action, anchor in named)
