# SPDX-License-Identifier: MIT
"""Runs of DAGs inside a demo: what Airflow does to the process that it runs in."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.airflow_runs import AirflowRuns

AT = datetime(2026, 6, 10, 12, tzinfo=UTC)


class Ended(BaseException):
    """What a demo raises at SIGTERM."""


@pytest.fixture
def sigterm() -> Iterator[None]:
    """SIGTERM ends, as in a demo; whatever a test leaves behind is undone."""

    def end(*_: Any) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


def runs(folder: Path, monkeypatch: pytest.MonkeyPatch, *, meanwhile: bool) -> AirflowRuns:
    """Runs of a DAG that takes SIGTERM for itself, as each task of Airflow does; `meanwhile`: and is sent one."""

    def test(**_: Any) -> Any:
        signal.signal(signal.SIGTERM, lambda *_: None)
        if meanwhile:
            os.kill(os.getpid(), signal.SIGTERM)
        return SimpleNamespace(get_task_instances=list)

    made = AirflowRuns(folder / "airflow.log")
    monkeypatch.setattr(made, "_dags", {"dag": SimpleNamespace(test=test)})
    return made


def test_a_demo_can_be_ended_after_a_run(sigterm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    runs(tmp_path, monkeypatch, meanwhile=False).run("dag", AT)
    with pytest.raises(Ended):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_demo_can_be_ended_during_a_run(sigterm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Ended):
        runs(tmp_path, monkeypatch, meanwhile=True).run("dag", AT)


def test_other_signals_can_be_taken(sigterm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before, taken = signal.getsignal(signal.SIGUSR1), []

    def test(**_: Any) -> Any:
        signal.signal(signal.SIGUSR1, lambda *_: taken.append("it"))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, before)
        return SimpleNamespace(get_task_instances=list)

    made = AirflowRuns(tmp_path / "airflow.log")
    monkeypatch.setattr(made, "_dags", {"dag": SimpleNamespace(test=test)})
    made.run("dag", AT)
    assert taken == ["it"]
