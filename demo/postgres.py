# SPDX-License-Identifier: MIT
"""A real PostgreSQL for Airflow's own data, as `demo.services` has its servers. It keeps nothing.

It refuses to be run by root, who starts it as nobody, in a directory that nobody may enter.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from demo.processes import ServiceError, find_program
from demo.services import Service

USER = "airflow"
_NOBODY = 65534


class Postgres(Service):
    """PostgreSQL with a log and a pid file in `directory`/postgres; its superuser comes in by password."""

    name = "postgres"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._data = Path()
        self._password = ""

    def uri(self) -> str:
        """The address of the one database, for SQLAlchemy."""
        return f"postgresql+psycopg2://{USER}:{self._password}@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """End the server and remove its data."""
        super().stop()
        shutil.rmtree(self._data.parent, ignore_errors=True)

    def _launch(self) -> None:
        room = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data, self._password = room / "data", secrets.token_hex(16)
        secret = room / "password"
        secret.write_text(self._password, encoding="ascii")
        if os.geteuid() == 0:
            for path in (room, secret):
                os.chown(path, _NOBODY, _NOBODY)
        self._install(secret)
        self._process.start(
            [
                *_unprivileged("postgres"),
                *("-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""),
                *("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "jit=off"),
            ],
            ready=lambda: "ready to accept connections" in self._process.tail(),
        )

    def _install(self, secret: Path) -> None:
        finished = subprocess.run(
            [
                *_unprivileged("initdb"),
                *("-D", str(self._data), "-U", USER, "--pwfile", str(secret), "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            cwd=secret.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        secret.unlink()
        if finished.returncode != 0:
            raise ServiceError(f"PostgreSQL could not be set up.\n{finished.stdout}{finished.stderr}")


def _unprivileged(program: str) -> list[str]:
    """What starts a program of PostgreSQL, by somebody who is not root."""
    found = find_program(program, "postgresql")
    if os.geteuid() != 0:
        return [found]
    return [
        *(find_program("setpriv", "util-linux"), f"--reuid={_NOBODY}", f"--regid={_NOBODY}"),
        *("--clear-groups", "--", found),
    ]
