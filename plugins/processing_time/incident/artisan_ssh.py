# SPDX-License-Identifier: MIT
"""Runs commands on the application's machine over SSH.

A shell parses the command there, whatever we do: so every word is quoted, and the words themselves come from a fixed
table and validated ids. ``include/artisan/forced-command.sh`` holds the machine's own side to the same table.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from processing_time.incident.action import Refused
from processing_time.incident.artisan import Interrupted, Runner, too_slow

if TYPE_CHECKING:
    from paramiko import Channel, SSHClient

OUTPUT = 1 << 20
"""Bytes of the output's end that are kept."""
PATIENCE = 10
"""Seconds beyond the command's time that its machine has to end it and to say so."""
_PIECE = 1 << 15
_TIMED_OUT = frozenset({124, 137})
"""How ``timeout`` ends when it ended the command: by itself, or killed along with it."""


def runner(connect: Callable[[], SSHClient], timeout: int) -> Runner:
    """Commands that run on the machine that ``connect`` opens a connection to; each on a connection of its own.

    :param timeout: seconds, after which the machine itself kills the command.
    """

    def run(line: Sequence[str], given: bytes) -> tuple[int, bytes]:
        from paramiko import SSHException

        command = shlex.join(["timeout", "-k", "5", str(timeout), *line])
        with contextlib.closing(_connected(connect)) as client:
            try:
                channel = client.get_transport().open_session()
            except (OSError, EOFError, SSHException) as error:
                raise Refused(
                    f"the connection processing_time_laravel does not work ({type(error).__name__}): its machine opens no"
                    " session for a command, see MaxSessions and the log of its sshd"
                ) from None
            channel.settimeout(timeout + PATIENCE)
            channel.set_combine_stderr(True)
            try:
                channel.exec_command(command)
                exit_code, output = _talk(channel, given, time.monotonic() + timeout + PATIENCE)
            except TimeoutError:
                raise too_slow(timeout) from None
            except (OSError, EOFError, SSHException):
                raise Interrupted(
                    "the connection of processing_time_laravel broke off: see on that machine what was done, and try again"
                ) from None
        if exit_code in _TIMED_OUT:
            raise too_slow(timeout)
        return exit_code, output

    return run


def _talk(channel: Channel, given: bytes, deadline: float) -> tuple[int, bytes]:
    """Write the input, read the output to its end; raises TimeoutError when the deadline of the clock passes."""
    with contextlib.suppress(OSError):  # a command may end without reading its input
        channel.sendall(given)
    channel.shutdown_write()
    output = bytearray()
    while True:
        if time.monotonic() > deadline:
            raise TimeoutError
        if not (piece := channel.recv(_PIECE)):
            break
        output += piece
        del output[:-OUTPUT]
    if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
        raise TimeoutError
    return channel.recv_exit_status(), bytes(output)


def _connected(connect: Callable[[], SSHClient]) -> SSHClient:
    """The open connection; why there is none, without host, login or key."""
    try:
        return connect()
    except Exception as error:  # noqa: BLE001  # paramiko's own, sockets', those of files with keys
        reason = _REASONS.get(type(error).__name__, "its machine does not answer, or refuses the login")
        raise Refused(
            f"the connection processing_time_laravel does not work ({type(error).__name__}): {reason}"
        ) from None


_REASONS = {
    "BadHostKeyException": "the machine shows another key than the one we know: find out why before you trust it",
    "AuthenticationException": "the login or its key is refused: check them, and authorized_keys on that machine",
    "SSHException": "if its host key is not known here, put it into host_key of the connection's extra",
}
