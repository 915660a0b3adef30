# SPDX-License-Identifier: MIT
"""What reaches a command line, what is kept of an output, and commands on this machine."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing_time.incident import artisan_local
from processing_time.incident.action import Refused
from processing_time.incident.artisan import PROGRAM, CommandFailed, Interrupted, PhpArtisan, checked_ids
from processing_time.incident.artisan_location import Location
from processing_time.incident.artisan_output import LINES, WIDTH, tail

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
APP = Location("/srv/app", "/usr/bin/php8.3", 60)


class Recording:
    """A runner that answers the same each time and keeps what it was asked."""

    def __init__(self, output: bytes = b"", exit_code: int = 0) -> None:
        self.output, self.exit_code = output, exit_code
        self.asked: list[tuple[list[str], bytes]] = []

    def __call__(self, line: Sequence[str], given: bytes) -> tuple[int, bytes]:
        self.asked.append((list(line), given))
        return self.exit_code, self.output


def answering(answer: Any, exit_code: int = 0) -> Recording:
    return Recording(b"a deprecation\nprocessing-time: " + json.dumps(answer).encode() + b"\n", exit_code)


HOSTILE = [
    "",
    "1;rm -rf /",
    "1 2",
    "all",
    "--range=1-9",
    "-1",
    "1\n2",
    "$(id)",
    "`id`",
    "1'",
    '1"',
    "%s",
    "*",
    "١٢",
    UUID + "0",
    UUID.replace("-", ""),
    "{" + UUID + "}",
    "9" * 21,
]


@pytest.mark.parametrize("id_", HOSTILE)
@pytest.mark.parametrize("method", ["retry", "create_phases"])
def test_what_is_no_id_is_refused_before_anything_runs(method: str, id_: str) -> None:
    run = Recording()
    with pytest.raises(Refused, match="is not an id: write a whole number or a UUID"):
        getattr(PhpArtisan(run, APP), method)(["7", id_])
    assert run.asked == []


@given(st.text())
def test_only_numbers_and_uuids_pass(text: str) -> None:
    try:
        passed = checked_ids([text])
    except Refused:
        return
    assert passed == (text,)
    assert text.isascii()
    assert text.isdecimal()


def test_the_command_lines() -> None:
    run = Recording(b"Application cache cleared!\nConfiguration cached successfully!")
    artisan = PhpArtisan(run, APP)
    artisan.clear_cache()
    artisan.rebuild_config()
    artisan.retry(["7", UUID, "7"])
    start = ["/usr/bin/php8.3", "/srv/app/artisan"]
    assert run.asked == [
        ([*start, "cache:clear"], b""),
        ([*start, "config:cache"], b""),
        ([*start, "queue:retry", "7", UUID], b""),
    ]


def test_our_program_is_fed_and_its_arguments_are_words() -> None:
    run = answering({"outcomes": {"7": "created"}})
    assert PhpArtisan(run, APP).create_phases(["7"]) == {"7": "created"}
    assert run.asked == [(["/usr/bin/php8.3", "--", "/srv/app", "create-phases", "7"], PROGRAM.read_bytes())]


def test_an_id_that_the_application_names_is_checked_too() -> None:
    with pytest.raises(Refused, match="is not an id"):
        PhpArtisan(answering({"ids": [UUID, "7; id"]}), APP).failed_sync_jobs()


def test_an_error_of_the_program_is_its_sentence() -> None:
    with pytest.raises(CommandFailed, match=r"^the application refuses features: no such key$") as failed:
        PhpArtisan(answering({"error": "no such key"}, 1), APP).features()
    assert failed.value.ran.to_json() == {"command": "features", "exit_code": 1, "output": ""}


def test_no_answer_is_an_error_with_the_end_of_the_output() -> None:
    with pytest.raises(
        CommandFailed, match=r"gave no answer to features \(exit code 127\): check php"
    ) as failed:
        PhpArtisan(Recording(b"php: not found\n", 127), APP).features()
    assert failed.value.ran.output == "php: not found"


@pytest.mark.parametrize(
    ("exit_code", "output"), [(1, b"Application cache cleared!"), (0, b"Failed to clear cache.")]
)
def test_a_command_that_did_not_work(exit_code: int, output: bytes) -> None:
    with pytest.raises(CommandFailed, match=rf"cache:clear did not work \(exit code {exit_code}\)"):
        PhpArtisan(Recording(output, exit_code), APP).clear_cache()


def test_a_command_of_which_nobody_knows_the_end_is_no_refusal() -> None:
    def run(line: Sequence[str], given: bytes) -> tuple[int, bytes]:
        raise Interrupted("it was killed")

    with pytest.raises(CommandFailed, match=r"^cache:clear: it was killed$") as failed:
        PhpArtisan(run, APP).clear_cache()
    assert failed.value.ran.exit_code == -1


# --- The output -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("INFO  Configuration cached successfully.", "INFO  Configuration cached successfully."),
        ("\x1b[32mApplication cache cleared!\x1b[39m", "Application cache cleared!"),
        (f"The failed job [{UUID}] has been pushed back onto the queue!",) * 2,
        (f"{UUID} ........ 3.05ms DONE",) * 2,
        ("Unable to find failed job with ID [1234].",) * 2,
        ("mail to erika.mustermann+x@example.com failed", "mail to … failed"),
        ("call +49 (171) 123-4567 back", "call … back"),
        ("connect redis://:hunter2@cache:6379/1 refused", "connect … refused"),
        ("DB_PASSWORD=hunter2 is wrong", "DB_PASSWORD=… is wrong"),
        ("api_key: s3cr3t!", "api_key: …"),
        ("Authorization: Bearer abc.def", "Authorization: …"),
        ("key base64:c3RhbmQtaW4=", "key …"),
        (
            "Access denied for user 'booking'@'10.0.0.7' (using password: YES)",
            "Access denied for user '…'@'…' (using password: …",
        ),
        ("SQLSTATE[42S02]: gone (SQL: insert into jobs values (Erika))", "SQLSTATE[42S02]: gone (SQL …"),
        ("gone (Connection: mysql, SQL: insert into jobs values (Erika))", "gone (SQL …"),
        ("token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "token …"),
        ("saw eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9 there", "saw … there"),
        ('Customer "Erika Mustermann" has no e-mail', "Customer '…' has no e-mail"),
    ],
)
def test_secrets_and_personal_data_with_a_shape_are_left_out(line: str, kept: str) -> None:
    assert tail(line.encode()) == kept


def test_the_end_of_an_output_is_kept() -> None:
    output = "\n\n".join(f"line {n} " + "x " * 200 for n in range(50)).encode() + b"\n\xff\n"
    lines = tail(output).split("\n")
    assert len(lines) == LINES
    assert lines[-2].startswith("line 49")
    assert max(map(len, lines)) == WIDTH


# --- The connection's extra --------------------------------------------------------------------------------------------------


def test_a_location_has_defaults() -> None:
    assert Location.from_extra({"path": "/srv/app/", "host_key": "x"}) == Location("/srv/app", "php", 120)
    extra = {"path": "/srv/a-b_c/current", "php": "/usr/bin/php8.3", "command_timeout": "30"}
    assert Location.from_extra(extra) == Location("/srv/a-b_c/current", "/usr/bin/php8.3", 30)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({}, "path = '' in the extra of the connection processing_time_laravel is not a directory"),
        ({"path": "srv/app"}, "path = 'srv/app'"),
        ({"path": "/srv/app; id"}, "is not a directory such as /srv/app"),
        ({"path": "/srv/-x"}, "is not a directory such as /srv/app"),
        ({"path": "/srv/app", "php": "php -d x=1"}, "php = 'php -d x=1'"),
        ({"path": "/srv/app", "php": "-r"}, "is not a program: write php or a path"),
        ({"path": "/srv/app", "command_timeout": 0}, "command_timeout = '0'"),
        ({"path": "/srv/app", "command_timeout": 601}, "write whole seconds up to 600"),
        ({"path": "/srv/app", "command_timeout": "2m"}, "command_timeout = '2m'"),
    ],
)
def test_an_extra_that_cannot_be_used(extra: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        Location.from_extra(extra)
    assert sentence in str(refused.value)


# --- On this machine ----------------------------------------------------------------------------------------------------------


def test_input_output_and_exit_code() -> None:
    run = artisan_local.runner(60)
    assert run(["sh", "-c", "cat; echo wrong >&2; exit 3"], b"given\n") == (3, b"given\nwrong\n")


def test_words_are_not_parsed_by_a_shell() -> None:
    assert artisan_local.runner(60)(["echo", "$HOME", "; id", "*"], b"") == (0, b"$HOME ; id *\n")


def test_the_environment_is_empty_but_for_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_X", "secret")
    _, output = artisan_local.runner(60)(["env"], b"")
    assert {line.split(b"=")[0] for line in output.splitlines()} == {b"PATH", b"LANG"}


def test_what_artisan_writes_can_be_read_by_others(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        artisan_local.runner(60)(["touch", str(tmp_path / "config.php")], b"")
    finally:
        os.umask(before)
    assert (tmp_path / "config.php").stat().st_mode & 0o777 == 0o644


def test_a_long_output_is_cut_at_its_beginning() -> None:
    _, output = artisan_local.runner(60)(["sh", "-c", "yes 1234567 | head -c 3000000; echo end"], b"")
    assert len(output) == artisan_local.OUTPUT
    assert output.endswith(b"end\n")


def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    # A child of the command holds the lock, and writes when it has it.
    line = ["sh", "-c", f"flock {lock} sh -c 'echo held > {lock}; sleep 1000' & wait"]
    with pytest.raises(Interrupted, match="did not end within 1 s and was killed"):
        artisan_local.runner(1)(line, b"")
    with lock.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # would wait for ever


def test_a_child_that_keeps_its_output_open_holds_nobody(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code, _ = artisan_local.runner(60)(["sh", "-c", f"sleep 1000 & echo $! > {pid}"], b"")
    os.kill(int(pid.read_text()), 9)
    assert code == 0


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(
        Refused, match=r"php-of-nowhere cannot be run here .*: install PHP, or name the program"
    ):
        artisan_local.runner(60)(["php-of-nowhere"], b"")
