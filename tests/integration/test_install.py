# SPDX-License-Identifier: MIT
"""docs/install.md is followed to the letter, beside a real MariaDB and Redis, into an Airflow that is somewhere else.

What stands in its code blocks is run as it is written; only the addresses of other machines become those of ours. The commands
for Airflow's command line that other pages show are run in that same installation.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import StandInSlack
from demo.traffic import Plan, generate
from tests.unit.test_docs_commands import INSTALL, PAGES, commands, not_run, run_by

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "install.md").read_text(encoding="utf-8")


class Person:
    """Somebody with a shell: runs what the page says, and keeps the variables that it tells to set."""

    def __init__(self, environment: dict[str, str], elsewhere: dict[str, str]) -> None:
        self.environment = environment
        self._elsewhere = elsewhere

    def here(self, text: str) -> str:
        """The text with our addresses for those of other machines."""
        for there, ours in self._elsewhere.items():
            text = text.replace(there, ours)
        return text

    def set(self, assignment: str) -> None:
        name, _, value = assignment.partition("=")
        self.environment[name] = self.here(value.strip("'"))

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=PROJECT, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture
def person(
    application: Application,
    mariadb: MariaDB,
    redis_server: Redis,
    slack: StandInSlack,
    airflow_db: None,
    tmp_path: Path,
) -> Person:
    """In front of an Airflow that knows nothing of us, and of an application of which nobody may read."""
    present = datetime.now(UTC).replace(microsecond=0)
    account = generate(Plan(present, days=3, requests_a_day=90))
    application.build(account)
    application.warm_cache(account)
    with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE processing_time_monitor")
        for user in ("pt_monitor", "pt_monitor_write", "pt_store"):
            cursor.execute(f"DROP USER {user}@'%'")
    home = tmp_path / "airflow"
    home.mkdir()
    source = sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(home / "airflow.db")) as copy:
        source.backup(copy)
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "SLACK_BOT_TOKEN": "xoxb-…",
    }
    return Person(
        environment,
        {
            "db.example.com:3306": f"127.0.0.1:{mariadb.port}",
            ":password@redis.example.com:6379": f"127.0.0.1:{redis_server.port}",
            '{"conn_type": "slack", "password": "xoxb-…"}': slack.connection(),
            "/opt/airflow/config": str(tmp_path),
            "/srv/app/storage/logs": str(application.logs),
            "/srv/app/.env": str(application.env_file),
            "C0123456789": slack.channels["high"],
            "C9876543210": slack.channels["critical"],
        },
    )


def test_the_page_leads_to_a_working_installation(
    person: Person, mariadb: MariaDB, slack: StandInSlack, tmp_path: Path
) -> None:
    told: dict[str, str] = {}
    for _, language, block in re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", PAGE, re.MULTILINE | re.DOTALL):
        if language == "sql":
            with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
                for statement in filter(str.strip, block.split(";")):
                    cursor.execute(statement)
        elif language == "yaml":
            (tmp_path / "monitoring.yaml").write_text(person.here(block), encoding="utf-8")
        elif language == "bash":
            told |= follow(person, block)
    doctor = next(text for line, text in told.items() if line.endswith("processing_time.doctor"))
    assert doctor.endswith("Everything that is needed works.\n")
    assert len(slack.messages()) == 2  # the doctor's test messages, one for each channel
    assert "No data found" in told["airflow dags list-import-errors"]

    for page in PAGES:
        ours = [c for c in commands(page) if run_by(c) == INSTALL]
        shown = [c for c in ours if re.match(r"airflow |PYTHONPATH=\"", c) and c not in told]
        told |= {c: person.run(c) for c in shown if not c.startswith(not_run(page.read_text("utf-8")))}


def follow(person: Person, block: str) -> dict[str, str]:
    """What the commands of a block tell. Two things are left out: what the page says, and Cal.com, which is on the internet."""
    told = {}
    for line in block.splitlines():
        if re.match(r"[A-Z_]+=(\S+$|')", line):
            if "CALCOM" not in line:
                person.set(line)
        elif not line.startswith(not_run(PAGE)):
            if line.startswith("airflow dags list-import-errors"):
                person.run("airflow dags reserialize")  # the dag-processor of a running Airflow does it
            told[line] = person.run(line)
    return told
