# SPDX-License-Identifier: MIT
"""A real MySQL in a directory of its own, for `make test-mysql`: it stands in for the MariaDB of all other tests.

What is not named here is as a MySQL has it by default, above all the character set, its collation and the plugin of
the passwords: that is what an application's server is likely to have.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from demo.processes import ServiceError
from demo.services import MariaDB


class MySQL(MariaDB):
    """MySQL in `directory`/mysql, run by the programs that `scripts/mysql.sh` has put into `root`.

    The superuser comes in by the socket only: without names of hosts, ``localhost`` is nobody else.
    """

    name = "mysql"

    def __init__(self, directory: Path, root: Path) -> None:
        super().__init__(directory)
        self._usr = root.resolve() / "usr"

    def _launch(self) -> None:
        data = self.directory / "data"
        if not data.is_dir():
            self._install(data)
        Path(self.socket).parent.mkdir(mode=0o700, exist_ok=True)
        self._process.start(
            [
                *self._command(data),
                "--bind-address=127.0.0.1",
                f"--port={self.port}",
                f"--socket={self.socket}",
                "--mysqlx=OFF",
                f"--pid-file={data}/mysqld.pid",
            ],
            ready=self._answers,
        )

    def _command(self, data: Path) -> list[str]:
        """The program with its own libraries, and what the installation and the server have in common."""
        (loader,) = self._usr.glob("lib/*/ld-linux-*.so.*")
        temporary = self.directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        command = [
            *(str(loader), "--library-path", str(loader.parent), f"{self._usr}/sbin/mysqld"),
            "--no-defaults",
            f"--basedir={self._usr}",
            f"--lc-messages-dir={self._usr}/share/mysql",
            f"--plugin-dir={self._usr}/lib/mysql/plugin",
            f"--datadir={data}",
            f"--tmpdir={temporary}",
            "--secure-file-priv=NULL",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--local-infile=1",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=64M",
            "--innodb-redo-log-capacity=32M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=OFF",
            "--innodb-flush-method=nosync",
        ]
        return [*command, "--user=root"] if os.geteuid() == 0 else command

    def _install(self, data: Path) -> None:
        partial = data.with_name("data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        finished = subprocess.run(
            [*self._command(partial), "--initialize-insecure"], capture_output=True, text=True, check=False
        )
        if finished.returncode != 0:
            tail = "\n".join(f"  {line}" for line in finished.stderr.splitlines()[-12:])
            raise ServiceError(f"MySQL's data directory {data} could not be set up.\n{tail}")
        partial.rename(data)
