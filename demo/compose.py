# SPDX-License-Identifier: MIT
"""`python -m demo.compose`: the stand-in application of `docker compose --profile demo up`, in a container of its own.

Makes its data on the MySQL and the Redis beside it, once; has Airflow run the checks of the scenario; then keeps the cache
warm until it is stopped. Where things are is what docker-compose.yaml says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import httpx
import MySQLdb
import redis
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from demo.airflow_runs import HEALTH_CHECK
from demo.application import Application
from demo.scenarios import DEFAULT, Check, prepare
from demo.traffic import generate

AIRFLOW = "http://airflow-apiserver:8080"
ROOT = Path("/srv/app")
ENV_FOLDER = ROOT / "environment"
BUILT = ENV_FOLDER / "built"
"""Says up to when there is data, once all of it is there; its volume goes with the others."""
_WARM_EVERY = 20.0
_PATIENCE = 900.0


class MySQL:
    """The server of the profile, reached as its superuser."""

    def root(self, schema: str = "") -> Any:
        """A MySQLdb connection with all rights, autocommit on. The caller closes it."""
        return MySQLdb.connect(
            host="demo-mysql",
            user="root",
            password=os.environ["MYSQL_ROOT_PASSWORD"],
            database=schema,
            charset="utf8mb4",
            autocommit=True,
        )

    def uri(self, user: str, password: str, schema: str) -> str:
        """The Airflow connection URI of `user`."""
        return f"mysql://{user}:{quote(password, safe='')}@demo-mysql:3306/{schema}?charset=utf8mb4"


class Cache:
    """The application's Redis of the profile."""

    def client(self, db: int = 0) -> redis.Redis:
        """A client of database number `db`."""
        return redis.Redis(host="demo-redis", db=db)

    def uri(self, db: int = 0) -> str:
        """The Airflow connection URI of database number `db`."""
        return f"redis://demo-redis:6379/{db}"


class Airflow:
    """The REST API of the Airflow beside it, as its administrator. Waits for what is not there yet."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def check(self, as_of: datetime) -> str:
        """Run the health check for `as_of` unless that was done before; the state that its run ends in."""
        run = f"demo__{as_of.isoformat()}"
        body = {"dag_run_id": run, "logical_date": None, "conf": {"as_of": as_of.isoformat()}}
        # 409: the container was started again, and the run is there already.
        self._ask("POST", "", json=body, also=(409,))
        return self._end_of(run)

    @retry(
        retry=retry_if_exception_type(httpx.HTTPError), wait=wait_fixed(2), stop=stop_after_delay(_PATIENCE)
    )
    def _ask(self, method: str, path: str, *, also: Sequence[int] = (), **arguments: Any) -> Any:
        login = {"username": os.environ["ADMIN_USER"], "password": os.environ["ADMIN_PASSWORD"]}
        token = self._client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        answer = self._client.request(
            method,
            f"/api/v2/dags/{HEALTH_CHECK}/dagRuns{path}",
            headers={"Authorization": f"Bearer {token}"},
            **arguments,
        )
        return (answer if answer.status_code in also else answer.raise_for_status()).json()

    def _end_of(self, run: str) -> str:
        while (state := self._ask("GET", f"/{run}")["state"]) in ("queued", "running"):
            time.sleep(2)
        return str(state)


def main() -> None:
    """Build, check, and stay."""
    application = Application(MySQL(), Cache(), ROOT)
    application.env_file = ENV_FOLDER / ".env"
    until = built() or datetime.now(UTC).replace(microsecond=0)
    scenario = prepare(DEFAULT, until)
    account = generate(scenario.plan)
    if not built():
        tell(f"{len(account.appointments)} appointments of 30 days: MySQL, Redis, log")
        application.build(account)
        BUILT.write_text(until.isoformat(), encoding="ascii")
    Thread(target=run, args=(scenario.checks,), daemon=True).start()
    while True:
        # Availability entries live for a minute; a busy application makes them anew all the time.
        application.warm_cache(account)
        time.sleep(_WARM_EVERY)


def built() -> datetime | None:
    """Up to when there is data; None while there is none, or not all of it."""
    return datetime.fromisoformat(BUILT.read_text(encoding="ascii")) if BUILT.exists() else None


def run(checks: Sequence[Check]) -> None:
    """Have Airflow run the checks one after the other, and say of each how it ended."""
    with httpx.Client(base_url=AIRFLOW, timeout=30) as client:
        airflow = Airflow(client)
        for check in checks:
            tell(f"the health check for {check.at:%H:%M} UTC: {airflow.check(check.at)}")


def tell(line: str) -> None:
    """A line in the container's log."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
