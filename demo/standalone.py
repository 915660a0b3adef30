# SPDX-License-Identifier: MIT
"""A whole Airflow beside the stand-in application, until Ctrl-C: scheduler, API server, pages."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from demo import stage
from demo.account import Account
from demo.processes import ManagedProcess, free_port

_WARM_EVERY = 20.0


class Standalone:
    """`airflow standalone` with its DAGs on, on free ports. Its log is .demo/standalone.log."""

    def __init__(self, console: Console, services: stage.Services, account: Account) -> None:
        self._console = console
        self._services = services
        self._account = account
        self._process = ManagedProcess(stage.DEMO, "standalone")

    def run(self) -> None:
        """Start it, say where to look, and stay until it ends or Ctrl-C; every process of it is ended then."""
        port = self._services.airflow_port
        try:
            with self._console.status("Airflow's scheduler and pages"):
                url = start(self._process, port, stage.environment(self._services))
            self._console.print(f"Airflow   {url}")
            self._console.print(f"Status    {url}/processing-time/")
            if self._services.slack is not None:
                self._console.print(f"Slack     {self._services.slack.page_url}")
            self._console.print("Ctrl-C ends everything.")
            while self._process.pid is not None:
                # Availability entries live for a minute; a busy application makes them anew all the time.
                if self._services.redis.pid is not None:
                    self._services.application.warm_cache(self._account)
                time.sleep(_WARM_EVERY)
        finally:
            self._process.stop()


def start(process: ManagedProcess, port: int, environment: Mapping[str, str]) -> str:
    """Start `airflow standalone` on a port of loopback; its address, once it answers.

    :raises ServiceError: when it does not within three minutes.
    """
    url = f"http://127.0.0.1:{port}"
    process.start(
        [sys.executable, "-m", "airflow", "standalone"],
        ready=lambda: answers(f"{url}/api/v2/version"),
        within=180,
        environment={**environment, **settings(port)},
    )
    return url


def settings(port: int) -> dict[str, str]:
    """What an Airflow on a port of loopback needs beside the rest of its environment."""
    return {
        # It starts its parts as `airflow …`.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }


def answers(url: str) -> bool:
    """Whether an address gives a page."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
