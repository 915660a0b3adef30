# SPDX-License-Identifier: MIT
"""The application's Laravel log as a source: one slice of time read once, for all metrics and rules.

:func:`collect` reads the log of the only host. Where several hosts write logs of their own, each is counted by :func:`count`
where it can be read, and :func:`combine` makes one of them. What counts as a record and as a match is said in
:mod:`.records` and :mod:`.matching`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from processing_time.model import Collected, SourceUnavailable
from processing_time.sources.laravel_log.asked import Asked
from processing_time.sources.laravel_log.asked import marks as marks
from processing_time.sources.laravel_log.counted import Counted as Counted
from processing_time.sources.laravel_log.files import LogFile, open_logs
from processing_time.sources.laravel_log.hosts import THE_ONLY_ONE
from processing_time.sources.laravel_log.hosts import combine as combine
from processing_time.sources.laravel_log.matching import PatternError
from processing_time.sources.laravel_log.records import iso
from processing_time.sources.laravel_log.scanning import scan
from processing_time.sources.laravel_log.slices import newest, parts

if TYPE_CHECKING:  # the second process that may read along does not need them and starts sooner
    from processing_time.settings import Settings
    from processing_time.timeline import Timeline

_AHEAD = timedelta(seconds=60)
"""How far ahead of ours the application's clock may be."""
_ATTEMPTS = 3


def collect(
    settings: Settings, timeline: Timeline, *, present: datetime, need_since: datetime | None = None
) -> Collected:
    """Measure every enabled log metric and rule over the window *since last check*.

    :param present: the present time, to tell a log that is ahead of it.
    :param need_since: an instant from which on the caller wants to know what was seen, when that is earlier than
        anything that is measured.
    :return: samples of company 0, and facts: files, bytes read, the newest record, the day's tallies, and of every
        kind of record when it was seen last before ``as_of``.
    :raises SourceUnavailable: when no log file is there, one cannot be read, none holds a record, a pattern cannot
        run, or the newest record lies in the future.
    """
    counted = count(settings, timeline, settings.application.logs, present=present, need_since=need_since)
    return combine(settings, timeline, {THE_ONLY_ONE: counted})


def count(
    settings: Settings,
    timeline: Timeline,
    logs: Sequence[str],
    *,
    present: datetime,
    need_since: datetime | None = None,
) -> Counted:
    """Count what one host's log holds of every enabled metric and rule.

    :param logs: the patterns of the names of its files; the other parameters are those of :func:`collect`.
    :raises SourceUnavailable: as :func:`collect` does.
    """
    asked = Asked(settings, timeline, need_since)
    for _ in range(_ATTEMPTS):
        counted, shrunk = _count(settings, asked, logs, present)
        # Emptied under our hands (copytruncate): what was in it is in another file by now.
        if not shrunk:
            break
    return counted


def _count(settings: Settings, asked: Asked, logs: Sequence[str], present: datetime) -> tuple[Counted, bool]:
    """What the log holds, and whether a file got shorter meanwhile."""
    plan = asked.plan
    with open_logs(logs) as (files, globs):
        last = _newest(files, settings, present)
        try:
            tallies = scan(plan, parts(files, settings.application_zone, plan.start, plan.end))
        except PatternError as error:
            raise SourceUnavailable(str(error)) from None
        counted = Counted(
            sign=asked.sign,
            tallies=tallies,
            files=[{"path": file.path, "bytes_read": file.bytes_read, "id": file.id} for file in files],
            globs=globs,
            newest=last,
            written=max(int(os.fstat(file.fd).st_mtime) for file in files),
        )
        return counted, any(file.shrunk for file in files)


def _newest(files: list[LogFile], settings: Settings, present: datetime) -> int | None:
    """The time of the newest record of all plain files, which must not lie in the future."""
    found = [
        (second, file.path)
        for file in files
        if not file.packed
        if (second := newest(file, settings.application_zone))
    ]
    if not found:
        # An empty log is a quiet application; lines that are no records are a format that nobody reads.
        if files and all(file.size and not (file.packed or file.shrunk) for file in files):
            raise SourceUnavailable(
                f"{files[0].path} holds no line that begins with a time such as [2026-03-29 03:10:00]: check that"
                " application.logs names Laravel's log, and that Laravel writes lines, not JSON"
            )
        return None
    second, path = max(found)
    if second > (present + _AHEAD).timestamp():
        raise SourceUnavailable(
            f"application.timezone = {settings.application.timezone!r} cannot be right: the newest record of {path} "
            f"would lie in the future ({iso(second)}); set the zone in which the application writes its log"
        )
    return second
