# SPDX-License-Identifier: MIT
"""The status page below a path of something else, as Airflow mounts it, to be asked over HTTP without an Airflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from processing_time.page import site
from processing_time.page.application import Surroundings
from processing_time.settings import Settings, load, target_names
from processing_time.store_session import StoreError

AT = datetime(2026, 6, 10, 12, 20, tzinfo=UTC)
"""20 minutes after a check."""


def dead(_: Settings) -> Any:
    """A store that does not answer, in the words of :class:`Session`."""
    raise StoreError("the connection processing_time_store does not work, its server does not answer")


def served(
    settings: Callable[[str], Settings] = lambda target: load(target=target),
    targets: Callable[[], Sequence[str]] = target_names,
    *,
    connect: Callable[[Settings], Any] = dead,
    user: Callable[[], Any] = lambda: "anna",
    token: Callable[[str], str] = "secret-of-{}".format,
    clock: Callable[[], datetime] = lambda: AT,
    root_path: str = "",
) -> TestClient:
    """The page with the settings of this process, to be asked for paths below it; no redirection is followed.

    :param root_path: where Airflow itself is.
    """
    around = Surroundings(connect, settings, targets, user, token, clock)
    airflow = FastAPI(root_path=root_path)
    airflow.mount("/processing-time", site.build(around))
    client = TestClient(airflow, raise_server_exceptions=False, follow_redirects=False)
    client.base_url = client.base_url.join(f"{root_path}/processing-time/")
    return client
