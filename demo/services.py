# SPDX-License-Identifier: MIT
"""A real MariaDB and a real Redis in a directory of their own, on free ports of 127.0.0.1.

Neither reads the machine's configuration nor touches a server that is already there. The data directory of
MariaDB is kept, so that a second start takes a second; Redis keeps nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import MySQLdb
import redis

from demo.processes import ManagedProcess, ServiceError, find_program, free_port

_LONGEST_SOCKET_PATH = 107


class Service:
    """Start, stop and `with` for one server process."""

    name = ""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory).resolve() / self.name
        self.port = 0
        self._process = ManagedProcess(self.directory, self.name)

    @property
    def pid(self) -> int | None:
        """The server's pid while it runs, else None."""
        return self._process.pid

    def start(self) -> Self:
        """Start the server on a free port and return when it answers; raises ServiceError with the log's end."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = free_port()
        self._launch()
        return self

    def stop(self) -> None:
        """End the server: SIGTERM, and SIGKILL when it does not go within ten seconds."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL the server, as a crash would."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        raise NotImplementedError


class MariaDB(Service):
    """MariaDB in `directory`/mariadb; the superuser comes in by the socket only."""

    name = "mariadb"

    @property
    def socket(self) -> str:
        """Path of the Unix socket, short enough for the kernel's limit wherever `directory` is."""
        path = str(self.directory / "sql.sock")
        if len(path) <= _LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(path.encode()).hexdigest()[:16]
        return f"{tempfile.gettempdir()}/demo-{os.getuid()}-{digest}/sql.sock"

    def stop(self) -> None:
        """End the server, and remove the directory that its socket had to be in when its own path was too long."""
        super().stop()
        if Path(self.socket).parent != self.directory:
            shutil.rmtree(Path(self.socket).parent, ignore_errors=True)

    def root(self, schema: str = "") -> Any:
        """A MySQLdb connection as superuser, autocommit on. The caller closes it."""
        return MySQLdb.connect(
            unix_socket=self.socket,
            user="root",
            database=schema,
            charset="utf8mb4",
            autocommit=True,
            local_infile=True,
        )

    def uri(self, user: str, password: str, schema: str) -> str:
        """The Airflow connection URI of `user` on this server over TCP."""
        return (
            f"mysql://{quote(user, safe='')}:{quote(password, safe='')}"
            f"@127.0.0.1:{self.port}/{quote(schema, safe='')}?charset=utf8mb4"
        )

    def _launch(self) -> None:
        server = find_program("mariadbd", "mariadb-server")
        data = self.directory / "data"
        if not (data / "mysql").is_dir():
            self._install(data)
        Path(self.socket).parent.mkdir(mode=0o700, exist_ok=True)
        self._process.start(
            [server, *self._options(data), f"--port={self.port}", f"--socket={self.socket}"],
            ready=self._answers,
        )
        with contextlib.closing(self.root()) as connection, connection.cursor() as cursor:
            # The superuser has no password, so it must not be reachable by TCP.
            cursor.execute("DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost'")
            cursor.execute("FLUSH PRIVILEGES")

    def _options(self, data: Path) -> list[str]:
        """What the installation and the server have in common: small, quick, and nothing from /etc/mysql."""
        # A starting MariaDB removes what looks like its temporary tables: not in a directory that others share.
        temporary = self.directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        options = [
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={temporary}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--performance-schema=OFF",
        ]
        if os.geteuid() == 0:
            options.append("--user=root")
        return [
            *options,
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            "--max-connections=100",
            "--local-infile=1",
            f"--pid-file={data}/mariadbd.pid",
        ]

    def _install(self, data: Path) -> None:
        program = find_program("mariadb-install-db", "mariadb-server")
        partial = data.with_name("data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        finished = subprocess.run(
            # --force: a machine may not know its own name.
            [
                program,
                *self._options(partial),
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--force",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            tail = "\n".join(f"  {line}" for line in (finished.stdout + finished.stderr).splitlines()[-12:])
            raise ServiceError(f"MariaDB's data directory {data} could not be set up.\n{tail}")
        partial.rename(data)

    def _answers(self) -> bool:
        with contextlib.suppress(MySQLdb.OperationalError), contextlib.closing(self.root()):
            return True
        return False


class Redis(Service):
    """Redis in `directory`/redis, without persistence."""

    name = "redis"

    def client(self, db: int = 0) -> redis.Redis:
        """A client of database number `db`; answers are bytes."""
        return redis.Redis(host="127.0.0.1", port=self.port, db=db)

    def uri(self, db: int = 0) -> str:
        """The Airflow connection URI of database number `db`."""
        return f"redis://127.0.0.1:{self.port}/?db={db}"

    def _launch(self) -> None:
        server = find_program("redis-server", "redis-server")
        self._process.start(
            [
                server,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            ],
            ready=self._answers,
        )

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), contextlib.closing(self.client()) as client:
            return bool(client.ping())
        return False
