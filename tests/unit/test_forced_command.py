# SPDX-License-Identifier: MIT
"""The forced command that the application's machine holds the monitor's key to: a table, and nothing beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "include" / "artisan" / "forced-command.sh"
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def forced(command: str | None) -> tuple[int, str]:
    """Exit code and output where ``echo`` stands for php, so that what would run is seen."""
    environment = {"PATH": "/usr/bin:/bin"} | ({} if command is None else {"SSH_ORIGINAL_COMMAND": command})
    line = [str(SCRIPT), "/srv/app", "echo"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, input="<?php")
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        ("/srv/app/artisan cache:clear", "/srv/app/artisan cache:clear"),
        ("/srv/app/artisan config:cache", "/srv/app/artisan config:cache"),
        (f"/srv/app/artisan queue:retry 7 {UUID}", f"/srv/app/artisan queue:retry 7 {UUID}"),
        ("-- /srv/app features", "PROGRAM /srv/app features"),
        ("-- /srv/app observer", "PROGRAM /srv/app observer"),
        ("-- /srv/app failed-syncs", "PROGRAM /srv/app failed-syncs"),
        ("-- /srv/app create-phases 7 8", "PROGRAM /srv/app create-phases 7 8"),
        ("-- /srv/app flags enable", "PROGRAM /srv/app flags enable"),
        ("-- /srv/app set-flags disable", "PROGRAM /srv/app set-flags disable"),
    ],
)
def test_what_the_monitor_asks_for_runs(asked: str, runs: str) -> None:
    program = str(SCRIPT.parent / "processing_time.php")
    assert forced(f"timeout -k 5 60 php {asked}") == (0, runs.replace("PROGRAM", program) + "\n")


@pytest.mark.parametrize(
    "command",
    [
        None,
        "",
        "id",
        "sh -c id",
        "timeout -k 5 60 php -r 'echo 1;'",
        "timeout -k 5 60 php /srv/app/artisan tinker --execute=1",
        "timeout -k 5 60 php /srv/app/artisan queue:retry",
        "timeout -k 5 60 php /srv/app/artisan queue:retry all",
        "timeout -k 5 60 php /srv/app/artisan queue:retry 1 --queue=default",
        "timeout -k 5 60 php /srv/app/artisan queue:retry 1 2x",
        "timeout -k 5 60 php /srv/app/artisan cache:clear file",
        "timeout -k 5 60 php /srv/app/artisan config:cache; id",
        "timeout -k 5 60 php /srv/app/artisan config:cache\nid",
        "timeout -k 5 60 php /srv/app/artisan config:cache $(id)",
        "timeout -k 5 60 php /srv/app/../other/artisan config:cache",
        "timeout -k 5 9999 php /srv/app/artisan config:cache",
        "timeout -k 5 -- php /srv/app/artisan config:cache",
        "timeout -k 5 60 php -- /etc features",
        "timeout -k 5 60 php -- /srv/app",
        "timeout -k 5 60 php -- /srv/app features more",
        "timeout -k 5 60 php -- /srv/app create-phases",
        "timeout -k 5 60 php -- /srv/app create-phases 1 *",
        "timeout -k 5 60 php -- /srv/app flags",
        "timeout -k 5 60 php -- /srv/app set-flags rollback",
        "timeout -k 5 60 php -- /srv/app set-flags disable 1",
        "timeout -k 5 60 php -- /srv/app anything",
    ],
)
def test_everything_else_is_refused(command: str | None) -> None:
    error = "the forced command on the application's machine does not allow this"
    assert forced(command) == (1, f'processing-time: {{"error": "{error}"}}\n')
