# SPDX-License-Identifier: MIT
"""Artisan over SSH, on a real sshd: with a key that may do anything, and with the forced command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from demo.services import MariaDB
from processing_time.incident import artisan_ssh
from processing_time.incident.action import Refused
from processing_time.incident.artisan import Artisan, CommandFailed, Interrupted
from processing_time.operators import connections
from tests.integration.laravel import PHP, PROJECT, Laravel, needs_laravel
from tests.integration.ssh_server import SshServer, key, needs_sshd

pytestmark = [needs_laravel, needs_sshd]

FORCED = PROJECT / "include" / "artisan" / "forced-command.sh"
DOES_NOT_ALLOW = "the forced command on the application's machine does not allow this"


@pytest.fixture
def laravel(mariadb: MariaDB, tmp_path: Path) -> Laravel:
    return Laravel(mariadb, tmp_path / "app")


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "ssh") as server:
        yield server


@pytest.fixture
def forced_server(tmp_path: Path, laravel: Laravel) -> Iterator[SshServer]:
    with SshServer(tmp_path / "forced", f"{FORCED} {laravel.directory} {PHP}") as server:
        yield server


@pytest.fixture(params=["open_server", "forced_server"])
def server(request: pytest.FixtureRequest) -> SshServer:
    found: SshServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def over_ssh(laravel: Laravel, monkeypatch: pytest.MonkeyPatch) -> Any:
    def artisan(server: SshServer, **extra: Any) -> Artisan:
        monkeypatch.setenv("AIRFLOW_CONN_OF_THE_TEST", server.connection(laravel.directory, PHP, **extra))
        return connections.laravel("of_the_test")

    return artisan


def test_everything_works_over_ssh_with_and_without_a_forced_command(
    laravel: Laravel, server: SshServer, over_ssh: Any
) -> None:
    failed = laravel.failed_sync(1)
    laravel.service(2)
    laravel.appointment(5, 2, laravel.sql("SELECT NOW()")[0][0])
    artisan, before = over_ssh(server), laravel.environment.read_bytes()

    assert artisan.features()["processing_time_service_whitelist"] == ["2", "3"]
    assert artisan.observer_registered()
    assert artisan.failed_sync_jobs() == (failed,)
    assert failed in artisan.retry([failed]).output
    assert artisan.failed_sync_jobs() == ()
    assert artisan.create_phases(["5", "6"]) == {"5": "created", "6": "missing"}
    assert artisan.clear_cache().exit_code == 0
    assert artisan.flags("disable").after["FEATURE_PROCESSING_TIME_ENABLED"] == "false"
    assert laravel.environment.read_bytes() == before
    artisan.set_flags("disable")
    assert artisan.rebuild_config().exit_code == 0
    assert artisan.features()["processing_time_enabled"] is False
    artisan.set_flags("enable")
    assert laravel.environment.read_bytes() == before


@pytest.mark.parametrize(
    "id_", ["1; touch TRAP", "$(touch TRAP)", "`touch TRAP`", "1\ntouch TRAP", "1 | touch TRAP", "-h", "all"]
)
def test_no_hostile_id_reaches_the_shell(
    laravel: Laravel, open_server: SshServer, over_ssh: Any, tmp_path: Path, id_: str
) -> None:
    trap = tmp_path / "trap"
    with pytest.raises(Refused, match="is not an id"):
        over_ssh(open_server).create_phases([id_.replace("TRAP", str(trap))])
    assert not trap.exists()


def test_every_word_is_quoted_all_the_same(open_server: SshServer, tmp_path: Path) -> None:
    # Ids are checked before: this is the second lock of the door.
    def connect() -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            "127.0.0.1", open_server.port, key_filename=str(open_server.user_key), look_for_keys=False
        )
        return client

    words = ["$(touch trap)", "; id", "'", '"', "*", "a\nb"]
    code, output = artisan_ssh.runner(connect, 30)(["printf", "%s\\n", *words], b"")
    assert (code, output.decode()) == (0, "\n".join(words) + "\n")


def test_a_command_that_takes_too_long_is_ended_on_its_machine(
    laravel: Laravel, server: SshServer, over_ssh: Any, tmp_path: Path
) -> None:
    lock = tmp_path / "lock"
    (laravel.directory / "bootstrap" / "app.php").write_text(
        f"<?php $f = fopen('{lock}', 'w'); flock($f, LOCK_EX); sleep(1000);"
    )
    with pytest.raises(Refused, match="did not end within 1 s and was killed"):
        over_ssh(server, command_timeout=1).features()
    with lock.open("a") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)  # would wait for ever


# --- Whom we talk to ----------------------------------------------------------------------------------------------------


def test_another_host_key_is_refused(open_server: SshServer, over_ssh: Any, tmp_path: Path) -> None:
    artisan = over_ssh(open_server, host_key=key(tmp_path / "another"))
    with pytest.raises(Refused, match=r"\(BadHostKeyException\): the machine shows another key"):
        artisan.features()


def test_an_unknown_host_key_is_refused(open_server: SshServer, over_ssh: Any) -> None:
    with pytest.raises(Refused, match=r"put it into host_key of the connection's extra"):
        over_ssh(open_server, host_key=None).features()


def test_a_login_that_is_refused(open_server: SshServer, over_ssh: Any, tmp_path: Path) -> None:
    key(tmp_path / "stranger")
    with pytest.raises(Refused, match="the login or its key is refused") as refused:
        over_ssh(open_server, key_file=str(tmp_path / "stranger")).features()
    assert "127.0.0.1" not in str(refused.value)


def test_a_server_that_does_not_answer(open_server: SshServer, over_ssh: Any) -> None:
    artisan = over_ssh(open_server)
    open_server.__exit__()
    with pytest.raises(Refused, match="its machine does not answer"):
        artisan.features()


def test_a_server_that_opens_no_session(laravel: Laravel, over_ssh: Any, tmp_path: Path) -> None:
    closed = SshServer(tmp_path / "closed", more="MaxSessions 0\n")
    with closed, pytest.raises(Refused, match=r"\(ChannelException\): its machine opens no session"):
        over_ssh(closed).features()


@pytest.mark.parametrize("fault", [paramiko.SSHException("Channel closed."), EOFError()])
def test_a_connection_that_breaks_off_when_the_command_is_sent(fault: Exception) -> None:
    def send(_: str) -> None:
        raise fault

    channel = SimpleNamespace(settimeout=lambda _: None, set_combine_stderr=lambda _: None, exec_command=send)
    transport = SimpleNamespace(open_session=lambda: channel)
    client: Any = SimpleNamespace(get_transport=lambda: transport, close=lambda: None)
    with pytest.raises(Interrupted, match="broke off"):
        artisan_ssh.runner(lambda: client, 30)(["php"], b"")


# --- The forced command ---------------------------------------------------------------------------------------------------


def test_the_forced_command_lets_nothing_else_through(forced_server: SshServer) -> None:
    assert forced_server.run("id") == (1, 'processing-time: {"error": "' + DOES_NOT_ALLOW + '"}\n')


def test_the_forced_command_runs_its_own_program_not_the_one_it_is_sent(
    laravel: Laravel, forced_server: SshServer
) -> None:
    command = f"timeout -k 5 60 {PHP} -- {laravel.directory} features"
    code, output = forced_server.run(command, b"<?php echo 'ours';")
    assert code == 0
    assert "ours" not in output
    assert "processing_time_enabled" in output


def test_the_forced_command_says_why_in_a_sentence(
    forced_server: SshServer, over_ssh: Any, tmp_path: Path
) -> None:
    elsewhere = forced_server.connection(tmp_path, PHP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ELSEWHERE", elsewhere)
        with pytest.raises(CommandFailed, match=DOES_NOT_ALLOW):
            connections.laravel("elsewhere").features()
