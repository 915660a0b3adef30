# SPDX-License-Identifier: MIT
"""Replaying what a real store holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processing_time import replay
from processing_time.escalation import decide
from processing_time.evaluation import check_state, judge
from processing_time.model import Sample, Verdict, Window
from processing_time.rule_tests import overlaid
from processing_time.settings import Mute, load
from processing_time.store import Store
from tests.integration.own_schema import fresh

START = datetime(2026, 3, 2, 7, tzinfo=UTC)
RATE = "phase_creation_success_rate"


@pytest.fixture
def store(mariadb: Any) -> Iterator[Store]:
    """Six checks and what was decided: an alert that paged and was resolved."""
    with Store(fresh(mariadb)) as opened:
        for hour, good in enumerate([100, 94, 94, 99, 99, 99]):
            _check(opened, START + timedelta(hours=hour), good)
        yield opened


def _check(store: Store, as_of: datetime, good: int) -> None:
    settings = load()
    verdicts: list[Verdict] = [judge(Sample(RATE, Window(START, as_of), 0, good, good, 100), settings)]
    store.save_check(
        as_of=as_of,
        dag_run_id=f"run {as_of}",
        verdicts=verdicts,
        state=check_state(verdicts),
        flags=None,
        facts={},
        sources=("mysql",),
    )
    store.decide(
        as_of, lambda standing: (decide(verdicts, standing, (), settings, as_of, {}), []), settings, as_of
    )


def test_the_settings_in_force_give_what_there_was(store: Store) -> None:
    lines = replay.replayed(store, load(), START, START + timedelta(hours=9)).splitlines()
    opened = "2026-03-02 09:00 to 03-02 12:00, high, level 2"
    assert lines[1].split("  ") == [RATE, opened, opened]
    assert lines[3:] == [
        "6 checks, 3 messages with the settings in force",
        f"2026-03-02 09:00 open {RATE} high level 1",
        f"2026-03-02 10:00 escalate {RATE} high level 2 on-call",
        f"2026-03-02 12:00 resolve {RATE}",
    ]


def test_other_settings_give_something_else_beside_it(store: Store) -> None:
    milder = overlaid({"metrics": {RATE: {"alert": 90, "critical": 80}}})
    lines = replay.replayed(store, milder, START, START + timedelta(hours=9)).splitlines()
    assert lines[1:] == [
        f"{RATE}  –         2026-03-02 09:00 to 03-02 12:00, high, level 2",
        "",
        "6 checks, 0 messages with the settings in force",
    ]


def test_only_the_checks_of_the_stretch_are_replayed(store: Store) -> None:
    printed = replay.replayed(store, load(), START, START + timedelta(hours=2))
    assert "2 checks, 1 messages" in printed


def test_a_mute_that_somebody_set_without_a_deployment_held_then(store: Store) -> None:
    """Not before it began, and not in checks after its end."""
    begun = START + timedelta(hours=2)
    mute = Mute(rule=RATE, company=None, until=START + timedelta(hours=3), reason="we are on it")
    store.mutes.add(mute, begun, "maria")
    lines = replay.replayed(store, load(), START, START + timedelta(hours=9)).splitlines()
    assert [line.rpartition(" level")[0] or line for line in lines[4:]] == [
        f"2026-03-02 09:00 open {RATE} high",
        f"2026-03-02 10:00 resolve {RATE}",
    ]


def test_the_command_reads_the_store_and_writes_nothing(
    store: Store, mariadb: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_STORE",
        mariadb.uri("store_test", "store-test", "processing_time_monitor"),
    )
    before = store.alerts(START, START + timedelta(days=1))
    assert replay.main(["--from", "2026-03-02", "--to", "2026-03-03"]) == 0
    assert "6 checks, 3 messages" in capsys.readouterr().out
    assert store.alerts(START, START + timedelta(days=1)) == before


def test_a_missing_connection_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    assert replay.main(["--from", "2026-03-02"]) == 2
    assert "processing_time_store" in capsys.readouterr().err
