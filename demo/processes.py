# SPDX-License-Identifier: MIT
"""Child processes that are found again after a crash, and never mistaken for somebody else's.

Each runs in a session of its own and leaves a pid file. The file holds the process's start time too: a pid
alone may since belong to a stranger, and a stranger is never signalled.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/libexec")


class ServiceError(RuntimeError):
    """A service could not be started; the message says what to do and ends with the tail of its log."""


def find_program(name: str, package: str) -> str:
    """Full path of the executable `name`; raises ServiceError naming the Debian `package` that brings it."""
    search_path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))
    found = shutil.which(name, path=search_path)
    if found is None:
        raise ServiceError(f"{name} is not installed: run `apt-get install {package}`, then try again.")
    return found


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ManagedProcess:
    """A program with a log file and a pid file, `<name>.log` and `<name>.pid` in `directory`."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.log_file = directory / f"{name}.log"
        self._pid_file = directory / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None
        self._started = ""

    @property
    def pid(self) -> int | None:
        """The pid while it runs, else None."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(
        self,
        command: Sequence[str],
        *,
        ready: Callable[[], bool],
        within: float = 30.0,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start `command` and wait until `ready()`; raises ServiceError when that takes over `within` seconds.

        What an earlier run left under the same pid file is ended first.
        """
        stop_leftover(self._pid_file)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("wb") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
                cwd=folder,
                start_new_session=True,
            )
        self._started = _start_time(self._child.pid)
        self._pid_file.write_text(f"{self._child.pid} {self._started}\n", encoding="ascii")
        deadline = time.monotonic() + within
        while not ready():
            if self._child.poll() is not None:
                status = self._child.returncode
                self.stop()
                raise ServiceError(f"{self.name} ended with status {status} while starting.\n{self.tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServiceError(f"{self.name} was not ready after {within:.0f} seconds.\n{self.tail()}")
            time.sleep(0.02)

    def wait(self) -> int:
        """Wait for the process to end by itself and return its exit status."""
        if self._child is None:
            raise ServiceError(f"{self.name} was not started.")
        return self._child.wait()

    def stop(self, patience: float = 10.0) -> None:
        """SIGTERM to the whole session, SIGKILL after `patience` seconds. Nothing happens when it does not run."""
        if self._child is not None:
            _end_session(self._child.pid, self._started, patience)
            self._child.wait()
            self._child = None
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL at once, as a crash would; the pid file stays, as after a crash."""
        if self._child is not None:
            _signal_session(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._child = None

    def tail(self, lines: int = 12) -> str:
        """The last lines of the log, indented, for an error message."""
        if not self.log_file.exists():
            return "  (no log)"
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (its log is empty)"


def stop_leftover(pid_file: Path, patience: float = 10.0) -> bool:
    """End the process that `pid_file` names if it is still that process; True if there was one.

    The file is removed. A dead process, a reused pid or an unreadable file ends nothing.
    """
    try:
        pid_text, started = pid_file.read_text(encoding="ascii").split()
        pid = int(pid_text)
    except (OSError, ValueError):
        pid_file.unlink(missing_ok=True)
        return False
    ours = _start_time(pid) == started
    if ours:
        _end_session(pid, started, patience)
    pid_file.unlink(missing_ok=True)
    return ours


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return []


def _start_time(pid: int) -> str:
    """When a live process was started, on this boot; "" when it is gone (or a zombie)."""
    stat = _stat(pid)
    if not stat or stat[0] in "ZX":
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}:{stat[19]}"


def _end_session(pid: int, started: str, patience: float) -> None:
    """End the process that leads a session, and all that are in it: some have made process groups of their own."""
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        _signal_session(pid, number)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if _start_time(pid) != started:
                # The leader has gone (ours is a zombie until waited for, so its number is still taken);
                # what it started may still be there.
                _signal_session(pid, signal.SIGKILL)
                return
            time.sleep(0.02)


def _signal_session(leader: int, number: signal.Signals) -> None:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _stat(int(entry.name))[3:4] == [str(leader)]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry.name), number)
