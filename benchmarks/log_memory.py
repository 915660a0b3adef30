# SPDX-License-Identifier: MIT
"""How much memory reading a log takes, measured in a process of its own: ``python -m benchmarks.log_memory GLOB HOURS``.

Prints MiB: the most that the process had beyond what it had with everything imported, and all that a second process had.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

from benchmarks.log_data import END
from benchmarks.memory import begin, kib, peak
from processing_time import settings
from processing_time.sources import laravel_log
from processing_time.timeline import Timeline

PROJECT = Path(__file__).resolve().parents[1]


def of_reading(pattern: str, since: timedelta) -> float:
    """MiB that a check over the logs of a glob and a stretch of time took."""
    command = [sys.executable, "-m", "benchmarks.log_memory", pattern, str(since.total_seconds() / 3600)]
    path = f"{PROJECT / 'plugins'}:{PROJECT}"
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={"PYTHONPATH": path})
    return float(said.stdout)


def main(pattern: str, hours: float) -> None:
    """Measure here."""
    loaded = settings.load({"application": {"logs": [pattern], "timezone": "UTC"}})
    timeline = Timeline(END, loaded.zone, loaded.application_zone, END - timedelta(hours=hours))
    before = begin()
    done = threading.Event()
    helpers: dict[str, int] = {}
    watch = threading.Thread(target=_watch, args=(done, helpers))
    watch.start()
    try:
        collected = laravel_log.collect(loaded, timeline, present=END)
    finally:
        done.set()
        watch.join()
    assert collected.facts["newest_record"]
    print(peak(before) + sum(helpers.values()) / 1024)


def _watch(done: threading.Event, helpers: dict[str, int]) -> None:
    """Note the peak of every process that is started, until it ends."""
    while not done.wait(0.005):
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                helpers[child] = max(helpers.get(child, 0), kib(Path("/proc", child), "VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
