# SPDX-License-Identifier: MIT
"""What the DAGs cost Airflow: parsing their files, and a check from trigger to message."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.airflow_scheduler import PROJECT, environment, running
from benchmarks.figures import Bench, Figure, Size, Target
from benchmarks.timing import by_turns, middle

PART = "airflow"
EMPTY = Path(__file__).with_name("airflow_dags") / "empty.py"
PARSES = {Size.SMALL: 3, Size.FULL: 25}
STARTS = {Size.SMALL: 1, Size.FULL: 5}
CHECKS = {Size.SMALL: 1, Size.FULL: 9}


def measure(bench: Bench) -> list[Figure]:
    """Parse every DAG file beside an empty one; run the health check beside its empty shape."""
    return [*_parses(bench), *_starts(bench), *_checks(bench)]


def _parses(bench: Bench) -> Iterator[Figure]:
    files = _files()
    bench.say(f"parsing {len(files)} DAG files, warm")
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.airflow_parse", str(PARSES[bench.size]), EMPTY, *files],
        env=environment(bench.work / PART / "home"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    runs = {
        Path(file).stem: tuple(1000 * s for s in seconds)
        for file, seconds in json.loads(finished.stdout.splitlines()[-1])["seconds"].items()
    }
    empty = runs.pop(EMPTY.stem)
    yield middle(
        PART, "parse_empty", "parse of a DAG of one empty task, in a child as Airflow's own", "ms", empty
    )
    for stem, seconds in runs.items():
        yield Figure(
            PART,
            f"parse_{stem}",
            f"parse of {stem}.py: more than that",
            median(seconds) - median(empty),
            "ms",
            runs=tuple(s - median(empty) for s in seconds),
            target=Target(50, "at most"),
        )


def _starts(bench: Bench) -> Iterator[Figure]:
    """A new process that imports Airflow and reads one file: for people, and for a deployment's smoke test."""
    bench.say("reading the DAG files in processes of their own")
    home = environment(bench.work / PART / "home")

    def read(file: Path) -> None:
        subprocess.run([sys.executable, file], env=home, stdout=subprocess.DEVNULL, check=True)

    runs = by_turns(
        STARTS[bench.size], {file.stem: lambda file=file: read(file) for file in (EMPTY, *_files())}
    )
    empty = runs.pop(EMPTY.stem)
    yield middle(PART, "start_empty", "a DAG of one empty task, read by a new Python", "s", empty)
    for stem, seconds in runs.items():
        more = 1000 * (median(seconds) - median(empty))
        yield Figure(PART, f"start_{stem}", f"{stem}.py, read by a new Python: more than that", more, "ms")


def _checks(bench: Bench) -> Iterator[Figure]:
    """By turns: the health check until Slack was told, its empty shape until the task in that place ended."""
    bench.say("starting a scheduler with LocalExecutor beside the stand-in application")
    with running(bench.work / PART) as scheduler:
        scheduler.until_told(), scheduler.until_escalated()  # migrations, byte-code
        told, empty = [], []
        for number in range(CHECKS[bench.size]):
            bench.say(f"check {number + 1} of {CHECKS[bench.size]}, from trigger to message")
            told.append(scheduler.until_told())
            empty.append(scheduler.until_escalated())
    yield middle(
        PART, "check_empty", "the health check's shape with empty tasks, up to escalate", "s", tuple(empty)
    )
    yield middle(PART, "check_told", "health check from trigger to message, LocalExecutor", "s", tuple(told))
    yield Figure(
        PART,
        "check",
        "health check from trigger to message: more than its empty shape",
        median(told) - median(empty),
        "s",
        target=Target(1.5, "at most"),
    )


def _files() -> list[Path]:
    return sorted((PROJECT / "dags").glob("*.py"))
