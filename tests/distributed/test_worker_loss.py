# SPDX-License-Identifier: MIT
"""A worker is lost in the middle of a check: another one finishes it, and nothing is lost or doubled."""

from __future__ import annotations

from collections import Counter

import pytest

from demo.whole_airflow import until
from tests.distributed.conftest import DAG, Distributed

WORKERS = {"worker-1", "worker-2"}


@pytest.fixture
def two_workers(distributed: Distributed) -> Distributed:
    for name in WORKERS:
        distributed.airflow.worker(name)
    distributed.tasks(distributed.check(distributed.scenario.checks[0].at))
    return distributed


def ended_well(distributed: Distributed, run: str, interrupted: str, lost: str) -> None:
    """The check is as every other, but for the task that was begun a second time, elsewhere."""
    tasks = distributed.tasks(run)
    assert {name: task["state"] for name, task in tasks.items()} == {
        **dict.fromkeys(
            ("collect_database", "collect_log", "collect_cache", "evaluate", "escalate"), "success"
        ),
        "request_toggle": "skipped",
        "verdict": "failed",  # its finding
    }
    assert tasks[interrupted]["try_number"] == 2
    assert {tasks[interrupted]["hostname"]} == WORKERS - {lost}
    assert distributed.wrong() == []
    kept = distributed.kept(distributed.last)
    assert kept.check["finished_at"] is not None
    said = distributed.said()
    assert len(said) == len(kept.notifications) > 0
    assert set(Counter(said).values()) == {1}, said


def told_again_in_vain(distributed: Distributed, run: str, lost: str) -> None:
    """When the worker is back, the broker gives out what it had held, and Airflow refuses it."""
    (other,) = WORKERS - {lost}

    def refused(*workers: str) -> int:
        return sum(distributed.airflow.log(worker).count("Task Instance not found") for worker in workers)

    before, tasks, said = refused(other), distributed.api.tasks(DAG, run), distributed.said()
    distributed.airflow.worker(lost)
    until(lambda: refused(*WORKERS) > before, "the old message is refused")
    assert distributed.api.tasks(DAG, run) == tasks
    assert distributed.wrong() == []
    assert distributed.said() == said


def test_while_it_reads(two_workers: Distributed) -> None:
    with two_workers.locked(two_workers.application.schema, "appointments"):
        run = two_workers.check(two_workers.last)
        until(lambda: two_workers.waits("pt_monitor"), "the check reads appointments")
        lost = two_workers.at(run, "collect_database")
        two_workers.airflow.kill(lost)
    ended_well(two_workers, run, "collect_database", lost)
    told_again_in_vain(two_workers, run, lost)


def test_while_it_tells(two_workers: Distributed) -> None:
    """Slack has the message, and the worker is gone before it could write that down."""
    two_workers.slack.fail("chat.postMessage", "accept_then_hang")
    run = two_workers.check(two_workers.last)
    until(lambda: two_workers.slack.messages(), "Slack has a message")
    lost = two_workers.at(run, "escalate")
    two_workers.airflow.kill(lost)
    ended_well(two_workers, run, "escalate", lost)
