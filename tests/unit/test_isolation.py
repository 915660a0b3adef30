# SPDX-License-Identifier: MIT
"""The tests' own promises: no network in unit tests, nothing of the machine's configuration."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_unit_tests_have_no_network():
    with pytest.raises(SocketBlockedError):
        socket.socket()


@pytest.fixture
def foreign_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A pytest run under this project's conftest on a machine that is configured for production."""
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_SLACK", "slack://:xoxb-production@/")
    monkeypatch.setenv("PROCESSING_TIME__TIMEZONE", "Asia/Tokyo")
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/airflow")
    pytester.makeconftest((PROJECT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    return pytester


def test_the_configuration_of_the_machine_is_out_of_reach(foreign_run: pytest.Pytester):
    foreign_run.makepyfile(
        """
        import os

        def test_environment():
            assert [n for n in os.environ if n.startswith(("AIRFLOW_CONN_", "PROCESSING_TIME_"))] == []
            assert os.environ["AIRFLOW_HOME"] != "/srv/airflow"
        """
    )
    foreign_run.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_run_has_an_airflow_of_its_own():
    assert Path(os.environ["AIRFLOW_HOME"]).name.startswith("processing-time-tests-")
    assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == str(PROJECT / "dags")
