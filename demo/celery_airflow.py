# SPDX-License-Identifier: MIT
"""A whole Airflow with CeleryExecutor on loopback: PostgreSQL, Redis as broker, and workers that come and go."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.postgres import Postgres
from demo.processes import ManagedProcess, ServiceError, free_port
from demo.services import Redis
from demo.standalone import answers, settings
from demo.whole_airflow import PATIENCE, Api, home, on_demand, until
from demo.worker_name import VARIABLE as WORKER_NAME

#: Seconds without a sign of life after which a task counts as dead. Its worker gives one every five seconds.
DEAD_AFTER = 30
_PARTS = (("scheduler", "--skip-serve-logs"), ("dag-processor",))


class CeleryAirflow:
    """Its parts are processes of their own, each a session; their logs are in `directory`."""

    def __init__(self, directory: Path, environment: Mapping[str, str], port: int) -> None:
        self._directory = directory
        self._environment = environment
        self._port = port
        self._processes: dict[str, ManagedProcess] = {}

    def start(self) -> Api:
        """Start API server, scheduler and DAG processor; the API, once all of them are there."""
        url = f"http://127.0.0.1:{self._port}"
        server = self._process("api-server")
        server.start(
            [*_airflow("api-server"), "--workers", "1"],
            ready=lambda: answers(f"{url}/api/v2/version"),
            within=PATIENCE,
            environment=self._environment,
        )
        for name, *options in _PARTS:
            self._process(name).start(
                [*_airflow(name), *options], ready=lambda: True, environment=self._environment
            )
        api = Api(url)
        until(api.healthy, "scheduler and DAG processor are there")
        return api

    def worker(self, name: str, queues: str = "default", **variables: str) -> None:
        """Start a worker of these queues, with variables that it alone has, unless it runs."""
        process = self._process(name)
        if process.pid is not None:
            return
        process.start(
            [
                *(*_airflow("celery", "worker"), "--skip-serve-logs", "--concurrency", "2"),
                *("--celery-hostname", f"{name}@127.0.0.1", "--queues", queues),
            ],
            ready=lambda: f"{name}@127.0.0.1 ready." in process.tail(100),
            within=PATIENCE,
            environment={**self._environment, **variables, WORKER_NAME: name},
        )

    def kill(self, worker: str) -> None:
        """SIGKILL a worker and its tasks, as if its machine were gone."""
        self._process(worker).kill()

    def log(self, worker: str) -> str:
        """What a worker has written since it was started."""
        return self._process(worker).log_file.read_text(encoding="utf-8")

    def stop(self) -> None:
        """End everything, the workers first."""
        for name in reversed(self._processes):
            self._processes[name].stop()

    def _process(self, name: str) -> ManagedProcess:
        return self._processes.setdefault(name, ManagedProcess(self._directory, name))


@contextmanager
def celery_airflow(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[CeleryAirflow, Api]]:
    """Run an Airflow in `directory`, without a worker as yet; its DAGs run on demand."""
    with ExitStack() as stack:
        metadata, broker = stack.enter_context(Postgres(directory)), stack.enter_context(Redis(directory))
        port = free_port()
        variables = {
            **environment,
            **home(directory / "airflow"),
            **on_demand(),
            **settings(port),
            **_of_celery(metadata, broker),
        }
        migrated = subprocess.run(
            _airflow("db", "migrate"), env=variables, capture_output=True, text=True, check=False
        )
        if migrated.returncode != 0:
            raise ServiceError(f"Airflow's database could not be set up.\n{migrated.stderr[-2000:]}")
        airflow = CeleryAirflow(directory, variables, port)
        stack.callback(airflow.stop)
        yield airflow, airflow.start()


def _of_celery(metadata: Postgres, broker: Redis) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "demo.worker_name.worker_name",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata.uri(),
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker.port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{metadata.uri()}",
        "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
        # A task whose worker died is found by its silence, and begun anew.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(DEAD_AFTER),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        # When a worker starts, the broker gives out anew what a dead one had taken: by then it must have been done.
        "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "20",
    }


def _airflow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]
