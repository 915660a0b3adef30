# SPDX-License-Identifier: MIT
"""A Redis full of keys, what its server says about the commands it ran, and the guide's pipes on it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import hiredis
import redis

from demo.services import Redis

GUIDE = Path(__file__).with_name("guide")
EVERY = 5
"""One key in so many is an availability key."""
STUCK = 1000
"""One key in so many is one that can be left without a TTL."""
SLOWER_THAN = 100
"""Microseconds: a longer command is in the slow log."""

_PREFIX = b"booking_database_booking_cache_:"
_VALUE = b'a:1:{s:5:"slots";a:0:{}}'


def key(number: int) -> bytes:
    """The key of a number: an availability key, or one of the application's other cached things."""
    if number % EVERY:
        return b"%bsession:%08x" % (_PREFIX, number)
    service, day = b"%08x-7c1f-4d7e-9a51-0e5f2b7c9d10" % number, (1 + number // 7 % 12, 1 + number // 5 % 28)
    return b"%bweek_availability:%d:%b:2026-%02d-%02d:pt_%d" % (
        _PREFIX,
        number // EVERY % 50,
        service,
        *day,
        number // EVERY % 2,
    )


def stuck_keys(keys: int) -> list[bytes]:
    """The availability keys that lose their TTL for the second half of the measurements."""
    return [key(number) for number in range(0, keys, STUCK)]


def fill(server: Redis, numbers: Iterable[int], *, portion: int = 10_000) -> None:
    """Set the keys of these numbers, to expire in a day, as fast as the server takes them."""
    commands = (hiredis.pack_command((b"SET", key(n), _VALUE, b"EX", b"86400")) for n in numbers)
    with contextlib.closing(_connect(server.port)) as connection:
        while batch := list(itertools.islice(commands, portion)):
            # The server stops reading when nobody takes its answers.
            answers = threading.Thread(target=_drain, args=(connection, len(batch) * len(b"+OK\r\n")))
            answers.start()
            connection.sendall(b"".join(batch))
            answers.join()


def bare_scan(port: int, pattern: str) -> int:
    """How many keys match: a loop on a socket, with nothing around it."""
    buffer, reader, found, cursor = bytearray(1 << 16), hiredis.Reader(), 0, b"0"
    with contextlib.closing(_connect(port)) as connection:
        while True:
            connection.sendall(hiredis.pack_command((b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"1000")))
            while (answer := reader.gets()) is False:
                reader.feed(buffer, 0, connection.recv_into(buffer))
            cursor, keys = answer
            found += len(keys)
            if cursor == b"0":
                return found


def guide_script(name: str, port: int, pattern: str, limit: float) -> str:
    """What a script of the guide says; empty when it was ended after ``limit`` seconds."""
    with subprocess.Popen(
        [GUIDE / name, str(port), pattern], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return ""
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, name)
    return said


@contextlib.contextmanager
def slow_log(client: redis.Redis) -> Iterator[Callable[[], list[tuple[str, int]]]]:
    """A function that gives name and microseconds of the commands that the server found slow, and starts anew."""
    client.config_set("slowlog-max-len", 1_000_000)
    client.config_set("slowlog-log-slower-than", SLOWER_THAN)
    client.slowlog_reset()

    def entries() -> list[tuple[str, int]]:
        found: Any = client.slowlog_get(1_000_000)
        client.slowlog_reset()
        named = [(entry["command"].split(b" ")[0].decode(), entry["duration"]) for entry in found]
        return [entry for entry in named if entry[0] != "SLOWLOG"]

    yield entries
    client.config_set("slowlog-log-slower-than", -1)


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _drain(connection: socket.socket, left: int) -> None:
    while left:
        left -= len(connection.recv(1 << 20))
