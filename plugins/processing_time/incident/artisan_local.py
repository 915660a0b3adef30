# SPDX-License-Identifier: MIT
"""Runs commands on this machine: an argument list without a shell, a group of its own, an end.

The environment is empty but for where programs are: what Airflow's holds is secret, and the application would take its
``DB_…`` and ``REDIS_…`` for its own, before its ``.env``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence

from processing_time.incident.action import Refused
from processing_time.incident.artisan import Runner, too_slow

OUTPUT = 1 << 20
"""Bytes of the output's end that are looked at."""
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def runner(timeout: float) -> Runner:
    """Commands that run here.

    :param timeout: seconds, after which the command and all that it started are killed.
    """

    def run(line: Sequence[str], given: bytes) -> tuple[int, bytes]:
        # Files, so that a child of the command that keeps its end open cannot hold us.
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as written:
            source.write(given)
            source.seek(0)
            try:
                process = subprocess.Popen(  # noqa: S603  # the table of commands is in `artisan`
                    line,
                    stdin=source,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                    env=_ENVIRONMENT,
                    cwd="/",
                    umask=0o022,  # what artisan writes is read by the web server
                    start_new_session=True,
                )
            except OSError as error:
                raise Refused(
                    f"{line[0]} cannot be run here ({error.strerror}): install PHP, or name the program as php in the"
                    " extra of processing_time_laravel"
                ) from None
            try:
                exit_code = process.wait(timeout)
            except BaseException as reason:  # an interrupt of this task, too
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if isinstance(reason, subprocess.TimeoutExpired):
                    raise too_slow(timeout) from None
                raise
            written.seek(max(0, written.seek(0, os.SEEK_END) - OUTPUT))
            return exit_code, written.read()

    return run
