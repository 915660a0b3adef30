# SPDX-License-Identifier: MIT
"""What the documentation tells people to run works: grants, queries, the settings for the deployed application."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.application import Application
from demo.traffic import Plan, generate
from processing_time import doctor
from processing_time.operators.connections import store_connect
from processing_time.settings import load
from processing_time.store import Store
from tests.unit.test_docs_commands import commands

PROJECT = Path(__file__).resolve().parents[2]
PRESENT = datetime(2026, 11, 17, 13, 0, 20, tzinfo=UTC)
GUIDE, DEPLOYED = "guide", "deployed"


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page, without their indentation."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def statements(block: str) -> list[str]:
    return [statement.strip() for statement in block.split(";") if statement.strip()]


@pytest.fixture
def built(application: Application, watch: Callable[[Application], None]) -> Callable[[str], Application]:
    """The application in one of its two forms, watched."""

    def build(world: str) -> Application:
        application.build(generate(Plan(PRESENT, days=3, world=world, requests_a_day=90)))
        watch(application)
        return application

    return build


@pytest.mark.parametrize("page", ["README.md", "docs/install.md"])
@pytest.mark.parametrize("world", [GUIDE, DEPLOYED])
def test_the_grants_suffice(page, world, built, mariadb, monkeypatch):
    built(world)
    with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE processing_time_monitor")
        for user in ("pt_monitor", "pt_monitor_write", "pt_store"):
            cursor.execute(f"DROP USER {user}@'%'")
        for statement in (s for block in blocks(page, "sql") for s in statements(block)):
            cursor.execute(statement)
    monkeypatch.delenv("AIRFLOW_CONN_PROCESSING_TIME_MYSQL_WRITE")
    logins = dict(
        re.findall(r"'(pt_\w+)'@'%' IDENTIFIED BY '([^']+)'", (PROJECT / page).read_text(encoding="utf-8"))
    )
    schemas = {"pt_monitor": "booking", "pt_monitor_write": "booking", "pt_store": "processing_time_monitor"}
    names = {"pt_monitor": "MYSQL", "pt_monitor_write": "MYSQL_WRITE", "pt_store": "STORE"}
    for user, password in logins.items():
        uri = mariadb.uri(user, password, schemas[user])
        monkeypatch.setenv(f"AIRFLOW_CONN_PROCESSING_TIME_{names[user]}", uri)
        shown = f"{user}:{password}@db.example.com:3306/{schemas[user]}"
        assert user == "pt_monitor_write" or shown in (PROJECT / page).read_text(encoding="utf-8")
    about = {f"processing_time_{names[user].lower()}": [] for user in logins}
    for line in doctor.examine(PRESENT):
        about.get(line.what, []).append(line.mark)
        assert line.mark != "fix", line
    assert about == {what: ["ok"] for what in about}


@pytest.mark.parametrize(
    "query", blocks("docs/runbook.md", "sql"), ids=lambda query: query.split("\n")[0][:60]
)
def test_the_queries_of_the_runbook_run(query, built, mariadb):
    """In both forms of the application, unless they name columns that only one has."""
    only = {
        world
        for world, column in ((GUIDE, "a.sync_status"), (DEPLOYED, "calcom_sync_status"))
        if column in query
    }
    for world in only or {GUIDE, DEPLOYED}:
        built(world)
        with Store(store_connect(load())) as store:
            store.sightings()  # its tables are made at first use
        with contextlib.closing(mariadb.root("booking")) as connection, connection.cursor() as cursor:
            for statement in statements(query):
                cursor.execute(statement)


def test_the_query_of_the_runbook_finds_what_was_booked_after_midnight(built, mariadb):
    """Today is Berlin's, and begins before the day of a server in UTC."""
    built(GUIDE)
    (query,) = (
        q for q in blocks("docs/runbook.md", "sql") if "a.id, a.created_at" in q and "NOT EXISTS" in q
    )
    with contextlib.closing(mariadb.root("booking")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT MAX(appointment_id) FROM appointment_phases")
        ((newest,),) = cursor.fetchall()
        cursor.execute("DELETE FROM appointment_phases WHERE appointment_id = %s", (newest,))
        half_past_midnight = datetime(2026, 11, 16, 23, 30)
        cursor.execute("UPDATE appointments SET created_at = %s WHERE id = %s", (half_past_midnight, newest))
        cursor.execute("SET timestamp = %s", (PRESENT.timestamp(),))
        cursor.execute(query)
        assert [row[0] for row in cursor.fetchall()] == [newest]


def test_the_shell_commands_of_the_runbook_run(application, redis_server, tmp_path):
    """On the application's machine, in its directory."""
    account = generate(Plan(PRESENT, days=3, requests_a_day=90))
    application.build(account)
    application.warm_cache(account)
    (application.logs / "calcom-2026-11-17.log").touch()
    program = tmp_path / "redis-cli"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -p {redis_server.port} "$@"\n')
    program.chmod(0o700)
    shown = [
        c for c in commands(PROJECT / "docs" / "runbook.md") if re.match(r"grep|ls|redis-cli|tail -n", c)
    ]
    assert len(shown) > 10
    for command in shown:
        done = subprocess.run(
            ["bash", "-c", command.replace("/srv/app/storage/logs", str(application.logs))],
            cwd=application.logs.parents[1],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        assert not re.search(r"\bERR\b", done.stdout), command


def test_the_settings_for_the_deployed_application_leave_nothing_unknown(built, tmp_path, monkeypatch):
    application = built(DEPLOYED)
    (example,) = (block for block in blocks("docs/settings.md", "yaml") if "calcom_sync_status" in block)
    own = tmp_path / "own.yaml"
    own.write_text(example, encoding="utf-8")
    monkeypatch.setenv("PROCESSING_TIME_CONFIG", str(own))
    for name in ("SYNC_STATUS_COLUMN", "ERROR_VALUES", "CACHE_KEY_PATTERN"):
        monkeypatch.delenv(f"PROCESSING_TIME__APPLICATION__{name}")
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__ENV_FILE", str(application.env_file))
    assert [str(line) for line in doctor.examine(PRESENT) if "unknown" in line.text] == []


def test_a_new_metric_is_one_query_one_entry_and_one_test(tmp_path):
    """What CONTRIBUTING.md shows, done to a copy of this project."""
    for folder in ("plugins", "include", "demo", "tests/sql"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(PROJECT / file, tmp_path / file)
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A new metric")[2]
    for name in re.findall(r"^\d\. `([^`]+)`$", text, re.MULTILINE):
        (code,) = blocks("CONTRIBUTING.md", {".sql": "sql", ".py": "python"}[Path(name).suffix])
        assert not (tmp_path / name).exists()
        (tmp_path / name).write_text(code, encoding="utf-8")
    (entry,) = blocks("CONTRIBUTING.md", "yaml")
    shipped = tmp_path / "include" / "monitoring.yaml"
    settings = shipped.read_text(encoding="utf-8")
    shipped.write_text(settings.replace("\nmetrics:\n", f"\nmetrics:\n{entry}", 1), encoding="utf-8")

    (command,) = blocks("CONTRIBUTING.md", "bash")
    words = [sys.executable if word == ".venv/bin/python" else word for word in shlex.split(command)]
    done = subprocess.run(
        words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout  # in both forms of the application
