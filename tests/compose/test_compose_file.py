# SPDX-License-Identifier: MIT
"""docker-compose.yaml, its two environment files and the Dockerfile agree, and Compose accepts them.

Whether the containers run is for `make test-compose`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from demo.application import PASSWORDS
from demo.slack.workspace import CHANNELS, ON_CALL_GROUP, TOKEN
from tests.compose.up import STAND_INS

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "docker-compose.yaml").read_text(encoding="utf-8")
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = FILE["services"]
REQUIRED = dict(re.findall(r"\$\{(\w+):\?([^}]+)\}", TEXT))
#: Read by Airflow and the monitor from the containers' environment; the file does not name them.
PASSED_ON = re.compile(r"PROCESSING_TIME_\w+|AIRFLOW_CONN_\w+")


def variables() -> set[str]:
    return set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))


def example() -> dict[str, str]:
    """The variables of .env.example with their values, those that are commented out too."""
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#?([A-Z]\w+)=(.*)$", text, re.MULTILINE))


def set_in(name: str) -> dict[str, str]:
    return {key: value or "" for key, value in dotenv_values(PROJECT / name, interpolate=False).items()}


def airflow_services() -> dict[str, Any]:
    return {name: service for name, service in SERVICES.items() if name.startswith("airflow-")}


def test_the_example_names_every_variable_of_the_file_and_no_other() -> None:
    named = {name for name in example() if name in variables() or not PASSED_ON.fullmatch(name)}
    assert named == variables()


def test_what_is_required_is_said_by_name_and_not_given() -> None:
    given = set_in(".env.example")
    assert len(REQUIRED) == 10
    for name, sentence in REQUIRED.items():
        assert f"set {name} in .env" in sentence
        assert name in given, f"{name} is required and commented out"
        if "CONN" not in name and name != "LARAVEL_LOGS":
            assert given[name] == "", f"{name} has a default"


def test_no_secret_has_a_default() -> None:
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT))
    assert defaults
    assert [name for name in defaults if re.search("PASSWORD|SECRET|KEY|CONN|TOKEN", name)] == []
    written = re.findall(r"^ +(\w*(?:PASSWORD|SECRET|KEY)\w*): (?!\$\{)(\S+)", TEXT, re.MULTILINE)
    assert written == [("MYSQL_ROOT_PASSWORD", "stand-in")]
    assert SERVICES["demo-mysql"]["environment"]["MYSQL_ROOT_PASSWORD"] == "stand-in"
    assert "ports" not in SERVICES["demo-mysql"]


def test_the_demonstration_sets_what_is_required_and_fits_its_stand_ins() -> None:
    given = set_in(".env.demo")
    assert REQUIRED.keys() <= {name for name, value in given.items() if value}
    assert given.keys() <= variables() | {name for name in given if PASSED_ON.fullmatch(name)}
    for user, name in {"pt_monitor": "MYSQL", "pt_monitor_write": "MYSQL_WRITE", "pt_store": "STORE"}.items():
        assert f"//{user}:" in given[f"AIRFLOW_CONN_PROCESSING_TIME_{name}"]
        assert quoted(PASSWORDS[user]) in given[f"AIRFLOW_CONN_PROCESSING_TIME_{name}"]
    slack = yaml.safe_load(given["AIRFLOW_CONN_PROCESSING_TIME_SLACK"])
    assert slack == {
        "conn_type": "slack",
        "password": TOKEN,
        "extra": {"base_url": "http://demo-slack:8090/api/"},
    }
    assert yaml.safe_load(given["PROCESSING_TIME__SLACK__CHANNELS"]) == CHANNELS
    assert given["PROCESSING_TIME__SLACK__ON_CALL"] == ON_CALL_GROUP


def quoted(password: str) -> str:
    return password.replace("@", "%40").replace(":", "%3A").replace("/", "%2F")


@pytest.mark.parametrize("name", [*SERVICES])
def test_every_service_restarts_and_says_how_it_is(name: str) -> None:
    service = SERVICES[name]
    if name == "airflow-init":
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} == service["healthcheck"].keys()
    assert (service.get("profiles") == ["demo"]) == name.startswith("demo-")
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", [*airflow_services()])
def test_the_applications_folders_are_read_only_and_nobody_is_root(name: str) -> None:
    service = airflow_services()[name]
    assert service["user"] == "${AIRFLOW_UID:-50000}:0"
    mounted = [volume for volume in service["volumes"] if ":/srv/" in volume]
    assert len(mounted) == 3
    assert all(volume.endswith(":ro") for volume in mounted)


def test_the_images_are_those_that_have_a_stand_in() -> None:
    base = re.findall(r"^FROM (\S+)", (PROJECT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    named = {service["image"] for service in SERVICES.values() if "build" not in service}
    assert {*base, *named} == {*STAND_INS.values()}
    pinned = re.search(
        r"^apache-airflow==(\S+)", (PROJECT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert pinned is not None
    assert base == [f"apache/airflow:{pinned[1]}-python3.11"]


def test_the_image_holds_what_runs_and_nothing_else() -> None:
    copied = re.findall(
        r"^COPY (?:--\S+ )?(\S+)", (PROJECT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == {*copied}


@pytest.fixture(params=["docker compose", "docker-compose"])
def compose(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Compose v2, and 1.29, on a copy of the project's files; whichever is installed."""
    command = request.param.split()
    if not shutil.which(command[0]) or subprocess.run([*command, "version"], capture_output=True).returncode:
        pytest.skip(f"{request.param} is not installed, so nobody here says whether it accepts the file")
    for name in ("docker-compose.yaml", ".env.example", ".env.demo"):
        shutil.copy(PROJECT / name, tmp_path)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        # Compose v2 is a plugin, which may lie in the user's home.
        docker = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
        return subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_CONFIG": docker, **environment},
            capture_output=True,
            text=True,
        )

    return run


def test_compose_accepts_the_demonstration(compose: Any) -> None:
    done = compose("--env-file", ".env.demo", "--profile", "demo", "config", WORKER_QUEUES="web1,default")
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert services.keys() == SERVICES.keys()
    assert services["airflow-worker"]["command"] == ["celery", "worker", "--queues", "web1,default"]
    assert services["demo-application"]["environment"]["ADMIN_PASSWORD"] == "demo"


def test_compose_accepts_the_example_once_it_is_filled_in(compose: Any, tmp_path: Path) -> None:
    text = (tmp_path / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(re.sub(r"=$", "=f1lled", text, flags=re.MULTILINE), encoding="utf-8")
    done = compose("config")
    assert done.returncode == 0, done.stderr
    worker = yaml.safe_load(done.stdout)["services"]["airflow-worker"]
    assert worker["environment"]["PROCESSING_TIME__SLACK__CHANNELS"] == example()[
        "PROCESSING_TIME__SLACK__CHANNELS"
    ].strip("'")
    assert "f1lled@postgres" in worker["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


@pytest.mark.parametrize("missing", [*REQUIRED])
def test_compose_names_what_is_missing(missing: str, compose: Any, tmp_path: Path) -> None:
    text = (tmp_path / ".env.demo").read_text(encoding="utf-8").replace("ENV_FILE=.env.demo", "")
    (tmp_path / ".env").write_text(
        re.sub(rf"^{missing}=.*$", f"{missing}=", text, flags=re.MULTILINE), encoding="utf-8"
    )
    done = compose("config")
    assert done.returncode != 0
    assert f"set {missing} in .env as .env.example says" in done.stderr.splitlines()[-1]


def test_bringing_it_up_needs_root_and_says_so() -> None:
    """As somebody else: root is nobody in a namespace of users of its own."""
    become = ["unshare", "--user"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*become, str(PROJECT / "scripts" / "test_compose.sh")], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "test-compose: needs root, for an engine of its own: sudo make test-compose\n"


def test_bringing_it_up_needs_an_engine_and_says_which_packages(tmp_path: Path) -> None:
    """A file system without what Debian puts there stands in for a machine without it."""
    script = (PROJECT / "scripts" / "test_compose.sh").read_text(encoding="utf-8")
    check = script[script.index("PATH=$PATH") : script.index("scripts/mysql.sh")].replace(
        "/usr/sbin:/sbin", str(tmp_path)
    )
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n", encoding="utf-8")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", check], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "test-compose: needs an engine, and there is no dockerd docker docker-compose"
    )
    assert done.stderr.count("\n") == 1
