# SPDX-License-Identifier: MIT
"""A real sshd on a free port of 127.0.0.1, with keys of its own and nothing of the machine's configuration."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import ManagedProcess, free_port

TOOLS = Path(__file__).resolve().parents[2] / ".tools"
SSHD = (
    shutil.which("sshd") or shutil.which("/usr/sbin/sshd") or shutil.which(str(TOOLS / "sshd/usr/sbin/sshd"))
)
WRAPPER = next(iter(Path("/usr/lib").glob("*/libnss_wrapper.so")), None)
_AS_ROOT = os.geteuid() == 0
_HAS_USER = any(line.startswith("sshd:") for line in Path("/etc/passwd").read_text().splitlines())

needs_sshd = pytest.mark.skipif(
    not SSHD or (_AS_ROOT and not _HAS_USER and not WRAPPER),
    reason="needs the apt package openssh-server, and without its user libnss-wrapper",
)


def key(path: Path) -> str:
    """Make a key pair; its public half as a line of authorized_keys or known_hosts."""
    made = Ed25519PrivateKey.generate()
    openssh = serialization.PrivateFormat.OpenSSH
    path.write_bytes(made.private_bytes(serialization.Encoding.PEM, openssh, serialization.NoEncryption()))
    path.chmod(0o600)
    public = made.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return public.decode()


class SshServer:
    """sshd that lets one key in, as the user who runs the tests.

    :param forced: the command of `authorized_keys`; without one the key may do anything.
    :param more: lines for its configuration.
    """

    def __init__(self, directory: Path, forced: str = "", more: str = "") -> None:
        directory.mkdir()
        self.port = free_port()
        self.host_key = key(directory / "host")
        self.user_key = directory / "user"
        options = f'restrict,command="{forced}" ' if forced else ""
        (directory / "authorized_keys").write_text(options + key(self.user_key) + "\n")
        self._configuration = directory / "configuration"
        self._configuration.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\n"
            f"AuthorizedKeysFile {directory}/authorized_keys\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n{more}"
        )
        self._process = ManagedProcess(directory, "sshd")
        self._directory = directory

    def __enter__(self) -> SshServer:
        environment = dict(os.environ)
        if _AS_ROOT:
            Path("/run/sshd").mkdir(exist_ok=True)
            if not _HAS_USER:
                # The package makes a user that sshd, as root, drops its rights to.
                users = self._directory / "passwd"
                users.write_text(
                    Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
                )
                environment |= {
                    "LD_PRELOAD": str(WRAPPER),
                    "NSS_WRAPPER_PASSWD": str(users),
                    "NSS_WRAPPER_GROUP": "/etc/group",
                }
        line = [str(SSHD), "-D", "-e", "-f", str(self._configuration)]
        self._process.start(line, ready=self._answers, environment=environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def connection(self, path: Path, php: str, **changed: Any) -> str:
        """The Airflow connection for artisan on this server."""
        extra = {
            "path": str(path),
            "php": php,
            "key_file": str(self.user_key),
            "host_key": self.host_key,
            "look_for_keys": "false",
            **changed,
        }
        described = {
            "conn_type": "ssh",
            "host": "127.0.0.1",
            "port": self.port,
            "login": getpass.getuser(),
            "extra": {name: value for name, value in extra.items() if value is not None},
        }
        return json.dumps(described)

    def run(self, command: str, given: bytes = b"") -> tuple[int, str]:
        """A command as somebody with the key may send it; its exit code and its output."""
        with contextlib.closing(paramiko.SSHClient()) as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(
                "127.0.0.1",
                self.port,
                getpass.getuser(),
                key_filename=str(self.user_key),
                look_for_keys=False,
                allow_agent=False,
            )
            channel = client.get_transport().open_session()
            channel.set_combine_stderr(True)
            channel.exec_command(command)
            with contextlib.suppress(OSError):
                channel.sendall(given)
            channel.shutdown_write()
            output = channel.makefile("rb").read().decode()
            return channel.recv_exit_status(), output

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as connection,
        ):
            return connection.recv(4) == b"SSH-"
        return False
