# SPDX-License-Identifier: MIT
"""The log's files: which ones there are, and reading them page by page.

A file is opened once and read through that descriptor, so a rotation meanwhile changes nothing. Memory is bound by
:data:`CHUNK` and :data:`LINE`, whatever the size of a file or of a line in it.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from zoneinfo import ZoneInfo

from processing_time.model import SourceUnavailable
from processing_time.sources.laravel_log.records import Clock, headers

CHUNK = 1 << 18
"""Bytes read at once."""
LINE = 1 << 16
"""Bytes at the start of a line that are looked at."""
_BEGINNING = 1 << 14
_GZIP = b"\x1f\x8b"
_OTHER_PACKERS = (b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x1f\x9d")
"""How files of xz, bzip2, zstd, lz4 and compress begin."""


def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # no Linux
        return os.uname().nodename


class LogFile:
    """An open log file of a fixed size: what is written after it was opened is not read.

    :ivar bytes_read: bytes taken from the disk or its cache so far.
    :ivar shrunk: it turned out shorter than it was when it was opened.
    """

    packed = False

    def __init__(self, path: str, fd: int, size: int) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.bytes_read = 0
        self.shrunk = False

    @property
    def id(self) -> str:
        """The same for the same file of the same machine, by whatever name, mount or container it is read."""
        status = os.fstat(self.fd)
        return f"{_machine()}:{status.st_dev}:{status.st_ino}"

    def read(self, at: int, size: int) -> bytes:
        """Up to ``size`` bytes at an offset; fewer only at the end.

        :raises SourceUnavailable: when the disk or the mount fails.
        """
        wanted = min(size, self.size - at)
        data = self._pread(at, wanted)
        self.shrunk |= len(data) < wanted
        return data

    def pages(self, start: int, stop: int) -> Iterator[tuple[bytes, int]]:
        """Blocks that begin with a line, and how far each of them holds whole lines, from ``start`` to ``stop``.

        ``start`` is the start of a line and ``stop`` the start of another one or the end. The last line needs no line
        end. Of a line that is longer than a block and than :data:`LINE` only the start is given. What stands behind
        NULs begins a line.
        """
        at = start
        while at < stop:
            page = self.read(at, min(CHUNK, stop - at))
            if page.startswith(b"\0"):
                at += len(page) - len(page.lstrip(b"\0"))
                continue
            if at + len(page) >= stop or len(page) < CHUNK:
                yield page, len(page)
                return
            if b"\n" not in page and CHUNK < LINE:
                page = self.read(at, min(LINE, stop - at))
            whole = page.rfind(b"\n") + 1
            yield page, whole or len(page)
            hole = not whole and page.endswith(b"\0")
            at = at + (whole or len(page)) if whole or hole else self.line_start(at + len(page), stop)

    def line_start(self, at: int, stop: int) -> int:
        """The first start of a line behind an offset, or ``stop``."""
        while at < stop and (block := self.read(at, min(CHUNK, stop - at))):
            if (found := block.find(b"\n")) >= 0:
                return at + found + 1
            at += len(block)
        return stop

    def _pread(self, at: int, size: int) -> bytes:
        try:
            data = os.pread(self.fd, size, at)
        except OSError as error:
            raise unreadable(self.path, error) from None
        self.bytes_read += len(data)
        return data


class PackedFile(LogFile):
    """A gzip file. Offsets are those of what is packed in it; its size is not known before it is unpacked."""

    packed = True

    def __init__(self, path: str, fd: int, size: int) -> None:
        super().__init__(path, fd, sys.maxsize)
        self._packed_size = size
        self._at = 0  # where what is held unpacked lies
        self._held = b""
        self._taken = 0  # packed bytes read so far
        self._input = b""  # packed bytes not unpacked yet
        self._begin_member()

    def read(self, at: int, size: int) -> bytes:
        """As for a plain file, but fast only forward: going back unpacks it again from the start.

        :raises SourceUnavailable: when the disk fails or the file is damaged.
        """
        if at < self._at:
            self._at = self._taken = 0
            self._held = self._input = b""
            self._begin_member()
        while self._at + len(self._held) < at + size and self._unpack():
            skipped = min(at - self._at, len(self._held))
            self._at, self._held = self._at + skipped, self._held[skipped:]
        self._held = self._held[at - self._at :]
        self._at = at
        return self._held[:size]

    def _begin_member(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    def _unpack(self) -> bool:
        """Unpack some more; false at the end."""
        if self._stream.eof:
            self._input = self._stream.unused_data
            self._begin_member()
        if not self._begun:
            self._input = self._input.lstrip(b"\0")  # zeros may pad a file
        if not self._input:
            self._input = self._pread(self._taken, min(CHUNK, self._packed_size - self._taken))
            self._taken += len(self._input)
        ended = not self._input
        if ended and not self._begun:
            return False
        try:
            unpacked = self._stream.decompress(self._input, CHUNK)
        except zlib.error:
            raise damaged(self.path) from None
        if ended and not unpacked and not self._stream.eof:
            raise damaged(self.path)
        self._begun = True
        self._input = self._stream.unconsumed_tail
        self._held += unpacked
        return True


def unreadable(path: str, error: OSError) -> SourceUnavailable:
    """The sentence for a file that the system does not let us read."""
    return SourceUnavailable(
        f"application.logs: {path} cannot be read ({error.strerror}): let the user that runs the tasks read it"
    )


def packed_otherwise(file: LogFile) -> bool:
    """Whether a file is packed in a way that is not read here."""
    return os.pread(file.fd, 5, 0).startswith(_OTHER_PACKERS)


def damaged(path: str) -> SourceUnavailable:
    """The sentence for a gzip file that ends too early or makes no sense."""
    return SourceUnavailable(
        f"application.logs: {path} is a damaged gzip file: pack it again, or move it out of the log folder"
    )


@contextmanager
def open_logs(globs: Sequence[str]) -> Iterator[tuple[list[LogFile], dict[str, int]]]:
    """Every log that matches, once; and how many files each glob matches.

    A log under several names (links) counts once, and so does a copy beside its original (a ``copytruncate`` or a
    compression under way, a backup).

    :raises SourceUnavailable: when no glob matches a file, or one of the files cannot be read.
    """
    opened: dict[tuple[int, int], LogFile] = {}
    try:
        known = -1
        while known < len(opened):  # a rotation between listing and opening shows as a file not open yet
            known = len(opened)
            counts = _open_all(globs, opened)
        if not opened:
            raise SourceUnavailable(
                f"application.logs matches no file ({', '.join(globs) or 'it is empty'}): "
                "mount the application's log folder, or correct the setting"
            )
        yield _originals(list(opened.values())), counts
    finally:
        for file in opened.values():
            os.close(file.fd)


def _open_all(globs: Sequence[str], opened: dict[tuple[int, int], LogFile]) -> dict[str, int]:
    return {pattern: sum(_open(path, opened) for path in _matching(pattern)) for pattern in globs}


def _matching(pattern: str) -> list[str]:
    return sorted(glob(pattern, recursive=True))  # noqa: PTH207  # pathlib takes no absolute patterns


def _open(path: str, opened: dict[tuple[int, int], LogFile]) -> bool:
    """Open a file unless it is open already; false when it is no file, or not there any more."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not block
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreadable(path, error) from None
    status = os.fstat(fd)
    identity = (status.st_dev, status.st_ino)
    regular = stat.S_ISREG(status.st_mode)
    if not regular or identity in opened:
        os.close(fd)
        return regular
    kind = PackedFile if os.pread(fd, len(_GZIP), 0) == _GZIP else LogFile
    opened[identity] = kind(path, fd, status.st_size)
    return True


def _originals(files: list[LogFile]) -> list[LogFile]:
    """Without copies: of files that begin with the same bytes, enough to hold a record, the longest plain one stays."""
    clock = Clock(ZoneInfo("UTC"))
    kept: dict[bytes, LogFile] = {}
    for file in sorted(files, key=lambda f: (f.packed, -f.size)):
        beginning = file.read(0, _BEGINNING)
        alike = len(beginning) == _BEGINNING and any(headers(b"\n" + beginning, clock))
        kept.setdefault(beginning if alike else b"%d" % file.fd, file)
    return list(kept.values())
