# SPDX-License-Identifier: MIT
"""The status page over HTTP without an Airflow around it: who is let in, what is answered when the store is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from fastapi import HTTPException
from starlette.testclient import TestClient

from demo.services import MariaDB
from processing_time.settings import Settings, load
from tests.integration.page_http import served


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load()


def client(settings: Settings, *, user: Callable[[], Any] = lambda: "anna", token: str = "") -> TestClient:
    """The page of one application, whose store does not answer."""
    return served(lambda _: settings, tuple, user=user, token=lambda _: token)


@pytest.mark.parametrize("path", ["/", "/companies", "/reports"])
def test_a_store_that_cannot_be_used_is_no_health(settings: Settings, path: str) -> None:
    answer = client(settings).get(path)
    assert answer.status_code == 503
    assert "Nobody knows how it is" in answer.text
    assert "its server does not answer" in answer.text
    assert "✓" not in answer.text


def test_metrics_are_off_until_there_is_a_token_and_fail_with_the_store(settings: Settings) -> None:
    assert client(settings).get("/metrics").status_code == 404
    locked = client(settings, token="secret")
    for wrong in (
        {},
        {"Authorization": "Bearer other"},
        {"Authorization": "secret"},
        {"Authorization": "Bearer secrets"},
    ):
        assert locked.get("/metrics", headers=wrong).status_code == 401
    assert locked.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 503


def test_every_answer_forbids_other_origins_and_caches(settings: Settings) -> None:
    for path in ("/", "/assets/page.css"):
        headers = client(settings).get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "unsafe-inline" not in headers["Content-Security-Policy"].partition("script-src")[2]
        assert headers["Cache-Control"] in ("no-store", "no-cache")


def test_there_is_no_page_about_the_interface_and_no_other_file(settings: Settings) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/assets/base.html", "/assets/..%2freport.html"):
        assert client(settings).get(path).status_code == 404


def test_only_a_browser_is_sent_to_the_login(settings: Settings) -> None:
    def nobody() -> None:
        raise HTTPException(401, "Not authenticated")

    anonymous = client(settings, user=nobody)
    assert anonymous.get("/").status_code == 401
    answer = anonymous.get("/reports?weekly=2026-06-01", headers={"Accept": "text/html"})
    assert answer.status_code == 307
    assert (
        answer.headers["location"]
        == "/api/v2/auth/login?next=%2Fprocessing-time%2Freports%3Fweekly%3D2026-06-01"
    )


def test_a_store_that_stops_answering_is_given_up(
    airflow_db: None, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    import processing_time_page
    from processing_time.store_session import error_code

    monkeypatch.setattr(processing_time_page, "PATIENCE", 1)
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_STORE",
        json.dumps({"conn_type": "mysql", "login": "root", "extra": {"unix_socket": mariadb.socket}}),
    )
    with closing(processing_time_page._connect(load())) as connection, closing(connection.cursor()) as cursor:
        with pytest.raises(Exception, match="2013") as raised:
            cursor.execute("SELECT SLEEP(60)")
        assert error_code(raised.value) == 2013
