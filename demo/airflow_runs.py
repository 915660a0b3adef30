# SPDX-License-Identifier: MIT
"""Runs of the DAGs in a real Airflow, inside this process, with its chatter in a file."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.processes import ServiceError

HEALTH_CHECK = "processing_time_health_check"
_EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception): .")


class AirflowRuns:
    """The DAGs, loaded once; each `run` is one of theirs. What Airflow writes goes to the file `chatter`."""

    def __init__(self, chatter: Path) -> None:
        self._chatter = chatter
        self._chatter.unlink(missing_ok=True)
        self._dags: Mapping[str, Any] = {}

    def use(self, environment: Mapping[str, str]) -> None:
        """Make `environment` this process's own, and load the DAGs in it the first time.

        Airflow gets an empty database of its own then, migrated once and copied in later demos. Raises ServiceError
        with Airflow's words when one does not load.
        """
        # Airflow reads its settings when it is imported, and the connections from then on.
        os.environ.clear()
        os.environ.update(environment)
        if not self._dags:
            paths = environment["PYTHONPATH"].split(os.pathsep)
            sys.path[:0] = [entry for entry in paths if entry not in sys.path]
            self._dags = self._load()

    def _load(self) -> Mapping[str, Any]:
        home = Path(os.environ["AIRFLOW_HOME"])
        home.mkdir(parents=True, exist_ok=True)
        database, empty = home / "airflow.db", home / f"empty-{version('apache-airflow')}.db"
        for leftover in home.glob("airflow.db*"):
            leftover.unlink()
        with self._quiet():
            if empty.exists():
                shutil.copyfile(empty, database)
            else:
                from airflow.utils.db import initdb

                initdb()
                _copy_database(database, empty)
            from airflow.dag_processing.dagbag import DagBag

            bag = DagBag()
        if bag.import_errors:
            raise ServiceError("A DAG does not load.\n" + "\n".join(bag.import_errors.values()))
        return dict(bag.dags)

    def check(self, as_of: datetime) -> None:
        """Run the health check for `as_of`; it may turn red over what it found."""
        self.run(HEALTH_CHECK, as_of, but="verdict")

    def run(self, dag_id: str, as_of: datetime, *, but: str = "") -> None:
        """Run a DAG for `as_of`; raises ServiceError with Airflow's words when a task but that one fails."""
        with self._quiet(), _sigterm_kept():
            run = self._dags[dag_id].test(run_conf={"as_of": as_of.isoformat()})
            failed = {i.task_id for i in run.get_task_instances() if i.state == "failed"} - {but}
        if failed:
            raise ServiceError(
                f"{', '.join(sorted(failed))} failed, see {self._chatter}.\n{self._complaints()}"
            )

    def _complaints(self) -> str:
        """The messages of the exceptions in the chatter, each once; without one, its last lines."""
        lines = self._chatter.read_text(encoding="utf-8", errors="replace").splitlines()
        raised = [line for line in lines if _EXCEPTION.match(line)]
        return "\n".join(dict.fromkeys(raised)) or "\n".join(lines[-15:])

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Send what Airflow writes, by whatever way, to the file; the terminal is for the reader."""
        sys.stdout.flush()
        sys.stderr.flush()
        kept = os.dup(1), os.dup(2)
        with self._chatter.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                for number, copy in enumerate(kept, start=1):
                    os.dup2(copy, number)
                    os.close(copy)


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep SIGTERM as it is during a run: each task takes it for itself, and never gives it back."""
    take = signal.signal

    def take_others(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if number == signal.SIGTERM else take(number, handler)

    signal.signal = take_others  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = take


def _copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database that is open elsewhere, its write-ahead log included; all of it or nothing."""
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(partial)) as copy:
        original.backup(copy)
    partial.replace(target)
