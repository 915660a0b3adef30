# SPDX-License-Identifier: MIT
"""docker-compose.yaml with its profile `demo`, up on an engine of its own: `make test-compose`.

Not collected by `make test`, and only to be run by scripts/test_compose.sh, in whose namespaces the engine is alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from demo.processes import ManagedProcess
from demo.slack import CHANNELS

PROJECT = Path(__file__).resolve().parents[2]
BASE = PROJECT / ".tools" / "compose" / "base"
MYSQL = PROJECT / ".tools" / "mysql-8.4"
#: What the containers wrote, kept from one run to the next.
LOG = PROJECT / ".tools" / "compose" / "containers.log"
STAND_INS = {
    "airflow": "apache/airflow:3.3.2-python3.11",
    "postgres": "postgres:16",
    "redis": "redis:7.2-bookworm",
    "mysql": "mysql:8.4",
}
"""The stages of images/Dockerfile, and the names that the project knows them by."""
COMPOSE = ["docker-compose", "--env-file", ".env.demo", "--profile", "demo", "--project-name", "monitor"]
WORKERS = 2
AIRFLOW, SLACK = "http://127.0.0.1:8080", "http://127.0.0.1:8090"
RUNS = "/api/v2/dags/processing_time_health_check/dagRuns"


def run(*command: str) -> str:
    """Run a command to its end; what it printed. A failure shows that."""
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def until(holds: Callable[[], Any], *, within: float, what: str) -> Any:
    """Ask again until the answer is true; that answer."""
    deadline = time.monotonic() + within
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {within:.0f} seconds: {what}"
        time.sleep(1)
    return answer


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """A Docker engine with everything that is its own in one directory, and the stand-in images on it."""
    with tempfile.TemporaryDirectory(prefix="test-compose-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        # It would leave a key there.
        Path("/etc/docker").mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", "/etc/docker")
        socket = f"unix://{directory}/engine.sock"
        os.environ |= {"DOCKER_HOST": socket, "COMPOSE_HTTP_TIMEOUT": "300", "DOCKER_BUILDKIT": "0"}
        dockerd = ManagedProcess(directory, "dockerd")
        dockerd.start(
            [
                *("dockerd", "--host", socket, "--data-root", f"{directory}/data"),
                *("--exec-root", f"{directory}/exec", "--pidfile", f"{directory}/engine.pid"),
            ],
            ready=lambda: subprocess.run(["docker", "info"], capture_output=True).returncode == 0,
        )
        try:
            run("sh", "-c", f"tar -C {BASE} -c . | docker import - stand-in-base")
            context = shutil.copytree(PROJECT / "tests" / "compose" / "images", directory / "images")
            shutil.copytree(MYSQL, context / MYSQL.name, symlinks=True)
            for stage, image in STAND_INS.items():
                run("docker", "build", "-q", "--target", stage, "-t", image, str(context))
            yield
        finally:
            dockerd.stop(patience=30)


@pytest.fixture(scope="session")
def project(engine: None) -> Iterator[None]:
    """Everything up, with two workers; down again afterwards, volumes too."""
    try:
        run(*COMPOSE, "up", "-d", "--scale", f"airflow-worker={WORKERS}")
        yield
    finally:
        LOG.write_text(run(*COMPOSE, "logs", "--no-color", "--timestamps"), encoding="utf-8")
        run(*COMPOSE, "down", "-v")
        assert run("docker", "ps", "-aq") == ""
        assert run("docker", "volume", "ls", "-q") == ""


def containers(service: str = "") -> list[dict[str, Any]]:
    """What the engine says of the containers (of one service)."""
    wanted = ["--filter", f"label=com.docker.compose.service={service}"] if service else []
    ids = run("docker", "ps", "-aq", *wanted).split()
    found: list[dict[str, Any]] = json.loads(run("docker", "inspect", *ids))
    return found


def within(service: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the first container of a service."""
    identifier = containers(service)[0]["Id"]
    return subprocess.run(["docker", "exec", identifier, *command], capture_output=True, text=True)


def rows(sql: str) -> list[list[str]]:
    """What a query gives in the demonstration's database server."""
    done = within("demo-mysql", "mysql", "-uroot", "-pstand-in", "-h127.0.0.1", "-N", "-B", "-e", sql)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def airflow(project: None) -> Iterator[httpx.Client]:
    """Airflow's API, logged in as the file says."""
    with httpx.Client(base_url=AIRFLOW, timeout=60) as client:
        answer = client.post("/auth/token", json={"username": "admin", "password": "demo"})
        client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        yield client


def state(airflow: httpx.Client, run_id: str) -> str:
    """The state of a run of the health check once it has ended; empty before."""
    answer = airflow.get(f"{RUNS}/{run_id}")
    ended = answer.status_code == 200 and answer.json()["state"] in ("success", "failed")
    return str(answer.json()["state"]) if ended else ""


@pytest.fixture(scope="module")
def shown(airflow: httpx.Client) -> list[str]:
    """The states of the two checks that the demonstration has made by itself."""

    def both() -> list[str]:
        runs = airflow.get(RUNS, params={"run_id_pattern": "demo\\_\\_%", "order_by": "run_after"}).json()[
            "dag_runs"
        ]
        states = [run["state"] for run in runs]
        return states if len(states) == 2 and {*states} <= {"success", "failed"} else []

    return list(until(both, within=900, what="the two checks of the demonstration"))


@pytest.mark.usefixtures("project")
def test_everything_gets_healthy() -> None:
    def unhealthy() -> list[str]:
        asked = [c for c in containers() if "Healthcheck" in c["Config"]]
        assert len(asked) == 11 + WORKERS - 1
        return [
            f"{c['Name']} {c['State']['Health']['Status']}"
            for c in asked
            if c["State"]["Health"]["Status"] != "healthy"
        ]

    until(lambda: not unhealthy(), within=900, what="every container healthy")


def test_the_demonstration_shows_an_incident(airflow: httpx.Client, shown: list[str]) -> None:
    assert shown == ["success", "failed"]
    with httpx.Client(base_url=SLACK) as slack:
        told = slack.get("/_control/messages").json()
        (root,) = (
            m for m in told if m["channel"] == CHANNELS["critical"] and m.get("thread_ts", m["ts"]) == m["ts"]
        )
        assert "Phase creation success" in slack.get("/").text
    alerts = rows("SELECT rule, severity, slack_ts FROM processing_time_monitor.alerts")
    assert ["phase_creation_success_rate", "critical", root["ts"]] in alerts
    assert rows("SELECT COUNT(*) FROM processing_time_monitor.notifications WHERE delivered_at IS NULL") == [
        ["0"]
    ]
    page = airflow.get("/processing-time/", follow_redirects=True)
    assert (page.status_code, "phase_creation_success_rate" in page.text) == (200, True)


@pytest.mark.usefixtures("shown")
def test_a_check_through_the_api_keeps_what_it_counted(airflow: httpx.Client) -> None:
    as_of = datetime.now(UTC).replace(microsecond=0)
    body = {"dag_run_id": "test", "logical_date": None, "conf": {"as_of": as_of.isoformat()}}
    airflow.post(RUNS, json=body).raise_for_status()
    until(lambda: state(airflow, "test"), within=900, what="a check that was triggered through the API")
    tasks = airflow.get(f"{RUNS}/test/taskInstances").json()["task_instances"]
    assert {t["task_id"] for t in tasks if t["state"] == "failed"} <= {"verdict"}
    midnight = as_of.astimezone(ZoneInfo("Europe/Berlin")).replace(hour=0, minute=0, second=0).astimezone(UTC)
    counted = rows(
        "SELECT COALESCE(SUM(a.id IN (SELECT appointment_id FROM booking.appointment_phases)), 0), COUNT(*)"
        " FROM booking.appointments AS a JOIN booking.services AS s ON s.id = a.service_id"
        f" WHERE s.has_processing_time AND a.created_at >= '{midnight:%Y-%m-%d %H:%M:%S}'"
        f" AND a.created_at < '{as_of - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}'"
    )
    kept = rows(
        "SELECT CAST(numerator AS SIGNED), CAST(denominator AS SIGNED) FROM processing_time_monitor.samples WHERE company_id = 0"
        f" AND metric = 'phase_creation_success_rate' AND as_of = '{as_of:%Y-%m-%d %H:%M:%S}'"
    )
    assert kept == counted
    unknown = rows(
        "SELECT metric, reason FROM processing_time_monitor.samples WHERE company_id = 0 AND state = 'unknown'"
        f" AND as_of = '{as_of:%Y-%m-%d %H:%M:%S}'"
    )
    assert unknown == []


@pytest.mark.usefixtures("project")
def test_nothing_runs_as_root() -> None:
    for container in containers():
        if (pid := container["State"]["Pid"]) != 0:
            (users,) = (
                line.split()[1:]
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith("Uid:")
            )
            assert "0" not in users, container["Name"]


@pytest.mark.usefixtures("project")
def test_both_databases_were_migrated_by_the_init_step() -> None:
    (init,) = containers("airflow-init")
    assert (init["State"]["Status"], init["State"]["ExitCode"]) == ("exited", 0)
    newest = max(int(file.name[:3]) for file in (PROJECT / "include/sql/store").glob("*.sql"))
    assert rows("SELECT MAX(version) FROM processing_time_monitor.schema_version") == [[str(newest)]]
    assert "the tables are there and up to date" in run("docker", "logs", init["Id"])


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("file", ["/srv/app/storage/logs/laravel.log", "/srv/app/environment/.env"])
def test_the_applications_files_are_read_and_never_written(file: str) -> None:
    assert within("airflow-worker", "test", "-s", file).returncode == 0
    assert "Read-only file system" in within("airflow-worker", "touch", file).stderr


@pytest.mark.usefixtures("project")
def test_an_environment_file_that_is_replaced_is_seen() -> None:
    replace = "cd /srv/app/environment && { cat .env; echo REPLACED=1; } >new && mv new .env"
    assert within("demo-application", "sh", "-c", replace).returncode == 0
    assert "REPLACED=1" in within("airflow-worker", "cat", "/srv/app/environment/.env").stdout


@pytest.mark.usefixtures("shown")
def test_a_process_that_dies_is_started_again() -> None:
    (before,) = containers("demo-slack")
    os.kill(before["State"]["Pid"], signal.SIGKILL)

    def again() -> bool:
        (now,) = containers("demo-slack")
        return now["State"]["Running"] and now["RestartCount"] == before["RestartCount"] + 1

    until(again, within=60, what="the container runs again")
