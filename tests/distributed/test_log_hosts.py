# SPDX-License-Identifier: MIT
"""Two hosts that each write a log, each read by a worker there; one of the two goes, and comes back."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from demo.whole_airflow import until
from tests.distributed.conftest import DAG, Distributed

QUEUES = {"web1": "default,web1", "web2": "web2"}
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def own_settings() -> dict[str, str]:
    """`logs` is left out: each worker has its own `application.logs`, as machines of one application have."""
    hosts = {host: {"queue": host} for host in QUEUES}
    return {
        "PROCESSING_TIME__APPLICATION__LOG_HOSTS": json.dumps(hosts),
        "PROCESSING_TIME__APPLICATION__LOG_HOST_WAIT": "1m",
    }


@pytest.fixture
def hosts(distributed: Distributed, tmp_path_factory: pytest.TempPathFactory) -> Distributed:
    """The hosts have taken turns in writing. The folders are the same for all tests, as the workers stay."""
    application = distributed.application
    folder = application.logs.parents[2] / "hosts"
    for number, host in enumerate(QUEUES):
        application.write_logs(distributed.account.records[number :: len(QUEUES)])
        shutil.copytree(application.logs, folder / host, dirs_exist_ok=True)
    application.remove_logs()
    for host in QUEUES:
        start(distributed, folder, host)
    return distributed


def start(distributed: Distributed, folder: Path, host: str) -> None:
    own = {"PROCESSING_TIME__APPLICATION__LOGS": json.dumps([f"{folder}/{host}/*.log"])}
    distributed.airflow.worker(host, QUEUES[host], **own)


def test_each_host_is_read_by_its_own_worker_and_nothing_is_missing(hosts: Distributed) -> None:
    hosts.tasks(hosts.check(hosts.last - HOUR))
    tasks = hosts.tasks(hosts.check(hosts.last))
    for host in QUEUES:
        assert (tasks[f"read_log.{host}"]["state"], tasks[f"read_log.{host}"]["hostname"]) == (
            "success",
            host,
        )
    assert hosts.wrong() == []


def test_a_host_that_is_lost_holds_no_check_up_and_is_read_again_when_it_is_back(hosts: Distributed) -> None:
    before, without, after = hosts.last - 2 * HOUR, hosts.last - HOUR, hosts.last
    hosts.tasks(hosts.check(before))
    with hosts.locked(hosts.application.store, "checks"):
        run = hosts.check(without)
        until(lambda: hosts.at(run, "read_log.web2"), "web2 reads its log")
        hosts.airflow.kill("web2")
    until(
        lambda: hosts.api.states(DAG, run)["verdict"] in ("success", "failed"),
        "the check says what it has found",
    )
    kept = hosts.kept(without)
    assert kept.check["finished_at"] is not None
    lost = {name: row["reason"] for name, row in kept.samples.items() if row["state"] == "unknown"}
    assert {"phase_creation_time", "availability_cache_hit_rate", "cache_miss_spike"} <= set(lost)
    assert all("the log of web2 is missing" in reason for reason in lost.values()), lost
    assert hosts.api.ended(DAG, run) == "", "only web2's task is still open"

    start(hosts, hosts.application.logs.parents[2] / "hosts", "web2")
    assert hosts.tasks(run)["read_log.web2"]["state"] == "success"
    hosts.tasks(hosts.check(after))
    began = {
        row["window_start"] for name, row in hosts.kept(after).samples.items() if name == "observer_disabled"
    }
    assert began == {before.replace(tzinfo=None)}
    alerts = "alerts opened"
    assert [sentence for sentence in hosts.wrong() if not sentence.startswith(alerts)] == []
    assert len(hosts.said()) == len(set(hosts.said()))
