# SPDX-License-Identifier: MIT
"""What a demo starts is ended, what it did not start is left alone, and failing to start is said plainly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from demo.processes import ManagedProcess, ServiceError, find_program, stop_leftover
from demo.workplace import clean, held

SLEEP = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)"]


def awake(process: ManagedProcess) -> bool:
    return "awake" in process.tail()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ManagedProcess]:
    started = ManagedProcess(tmp_path, "sleeper")
    started.start(SLEEP, ready=lambda: awake(started))
    yield started
    started.stop()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as running:
        yield running
        running.kill()


def test_stop_ends_the_process_and_its_children(tmp_path: Path) -> None:
    fifo = tmp_path / "held-by-the-child"
    os.mkfifo(fifo)
    child = f"held = open({str(fifo)!r}, 'w'); import time; time.sleep(600)"
    script = f"import subprocess, sys; print('awake', flush=True); subprocess.run([sys.executable, '-c', {child!r}], process_group=0)"
    parent = ManagedProcess(tmp_path, "parent")
    parent.start([sys.executable, "-c", script], ready=lambda: awake(parent))
    with fifo.open() as held:
        parent.stop()
        assert held.read() == ""  # the end comes when the child has gone, and not before
    assert parent.pid is None
    assert not (tmp_path / "parent.pid").exists()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = ManagedProcess(tmp_path, "stubborn")
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('awake', flush=True); time.sleep(600)"
    stubborn.start([sys.executable, "-c", ignore], ready=lambda: awake(stubborn))
    stubborn.stop(patience=0.2)
    assert stubborn.pid is None


def test_a_leftover_of_a_crashed_run_is_ended_by_the_next(process: ManagedProcess, tmp_path: Path) -> None:
    leftover = process.pid
    successor = ManagedProcess(tmp_path, "sleeper")
    successor.start(SLEEP, ready=lambda: awake(successor))
    assert process.pid is None
    assert successor.pid not in (None, leftover)
    successor.stop()


@pytest.mark.parametrize("started", ["", " 17", " nonsense:1"], ids=["pid-only", "number", "other-boot"])
def test_a_stranger_with_the_same_pid_is_not_touched(
    stranger: subprocess.Popen[bytes], tmp_path: Path, started: str
) -> None:
    pid_file = tmp_path / "x.pid"
    pid_file.write_text(f"{stranger.pid}{started}\n")
    assert stop_leftover(pid_file) is False
    assert stranger.poll() is None
    assert not pid_file.exists()


def test_a_program_that_ends_while_starting_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broken = ManagedProcess(tmp_path, "broken")
    with pytest.raises(ServiceError, match=r"broken ended with status 3 while starting\.\n  no such option"):
        broken.start(
            [sys.executable, "-c", "print('no such option'); raise SystemExit(3)"], ready=lambda: False
        )


def test_a_program_that_does_not_get_ready_is_ended(tmp_path: Path) -> None:
    slow = ManagedProcess(tmp_path, "slow")
    with pytest.raises(ServiceError, match=r"slow was not ready after 0 seconds"):
        slow.start(SLEEP, ready=lambda: False, within=0.1)
    assert slow.pid is None


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(
        ServiceError, match="no-such-server is not installed: run `apt-get install its-package`"
    ):
        find_program("no-such-server", "its-package")


def test_a_directory_is_one_runs_own_and_is_cleaned_when_that_has_ended(
    process: ManagedProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = partial(held, tmp_path, "Somebody is here.")
    with alone():
        assert clean(tmp_path, alone) == 1
    assert capsys.readouterr().err == "Somebody is here.\n"
    assert process.pid is not None
    assert clean(tmp_path, alone) == 0
    assert process.pid is None
    assert not tmp_path.exists()
    assert clean(tmp_path, alone) == 0
