# SPDX-License-Identifier: MIT
"""Runs of the health check in a real Airflow, inside this process, with its chatter in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.processes import ServiceError

HEALTH_CHECK = "processing_time_health_check"


class AirflowRuns:
    """The DAG, loaded once; each `check` is a run of it.

    The environment must be that of the demo before Airflow is imported for the first time, so this sets it.
    """

    def __init__(self, environment: Mapping[str, str], chatter: Path) -> None:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:0] = [
            entry for entry in environment["PYTHONPATH"].split(os.pathsep) if entry not in sys.path
        ]
        self._chatter = chatter
        self._chatter.unlink(missing_ok=True)
        self._dag: Any = None

    def load(self) -> None:
        """Migrate Airflow's own database if this Airflow has not done it yet, and load the DAG.

        Raises ServiceError with Airflow's words when the DAG does not load.
        """
        home = Path(os.environ["AIRFLOW_HOME"])
        home.mkdir(parents=True, exist_ok=True)
        migrated = home / f"migrated-{version('apache-airflow')}"
        with self._quiet():
            if not migrated.exists():
                from airflow.utils.db import initdb

                initdb()
                migrated.touch()
            from airflow.dag_processing.dagbag import DagBag

            bag = DagBag()
        if bag.import_errors:
            raise ServiceError("A DAG does not load.\n" + "\n".join(bag.import_errors.values()))
        self._dag = bag.dags[HEALTH_CHECK]

    def check(self, as_of: datetime) -> dict[str, str]:
        """Run the health check for `as_of`; the states of its tasks by name."""
        with self._quiet():
            run = self._dag.test(run_conf={"as_of": as_of.isoformat()})
            return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}

    def tail(self, lines: int = 15) -> str:
        """The end of the chatter without what is only information, for an error message."""
        text = self._chatter.read_text(encoding="utf-8", errors="replace")
        told = [line for line in text.splitlines() if line.strip() and " [info " not in line]
        return "\n".join(told[-lines:])

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
