# SPDX-License-Identifier: MIT
"""docs/artisan.md holds: its connections can be used, and its line of authorized_keys lets through what they send."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from processing_time.incident.action import Refused
from processing_time.incident.artisan import PhpArtisan
from processing_time.incident.artisan_location import Location
from processing_time.incident.registry import REGISTRY
from processing_time.operators import connections

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "artisan.md").read_text(encoding="utf-8")
CONNECTIONS = [
    json.loads(found) for found in re.findall(r"AIRFLOW_CONN_PROCESSING_TIME_LARAVEL='(.+)'", PAGE)
]


@pytest.mark.parametrize("described", CONNECTIONS, ids=lambda described: described["conn_type"])
def test_the_connections_can_be_used(described: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_LARAVEL", json.dumps(described))
    assert isinstance(connections.laravel("processing_time_laravel"), PhpArtisan)


def test_there_is_one_of_each_type() -> None:
    assert [described["conn_type"] for described in CONNECTIONS] == ["generic", "ssh"]


def test_the_forced_command_lets_the_connection_through() -> None:
    application = re.findall(r'restrict,command="\S+/forced-command\.sh (\S+)', PAGE)[0]
    location = Location.from_extra(CONNECTIONS[1]["extra"])
    asked = f"timeout -k 5 {location.timeout} {location.php} {location.path}/artisan cache:clear"
    done = subprocess.run(
        [PROJECT / "include" / "artisan" / "forced-command.sh", application, "echo"],
        env={"PATH": "/usr/bin:/bin", "SSH_ORIGINAL_COMMAND": asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{application}/artisan cache:clear\n"


def test_every_action_that_it_names_exists() -> None:
    rows = PAGE.partition("| --- | --- |\n")[2].partition("\n\n")[0].splitlines()
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named <= REGISTRY.keys()
    through_artisan = {"retry_failed_syncs", "create_missing_phases", "clear_application_cache"}
    assert named >= through_artisan | {"disable_feature", "enable_feature"}


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        (None, "there is no connection of_the_test, which says where php artisan runs"),
        (
            {"conn_type": "http", "extra": {"path": "/srv/app"}},
            "is of type http: make it ssh, or generic for this machine",
        ),
        ({"conn_type": "generic"}, "path = '' in the extra of the connection processing_time_laravel"),
    ],
)
def test_a_connection_that_cannot_be_used(
    described: dict[str, Any] | None, sentence: str, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if described:
        monkeypatch.setenv("AIRFLOW_CONN_OF_THE_TEST", json.dumps(described))
    with pytest.raises(Refused, match=re.escape(sentence)):
        connections.laravel("of_the_test")
