# SPDX-License-Identifier: MIT
"""A real API server with the status page on it, a history in the store behind it, and a headless Chromium before it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import MySQLdb.cursors
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.page_data import History, fill
from demo.processes import ManagedProcess, free_port
from demo.standalone import answers, settings
from processing_time.settings import CONFIG_VARIABLE, load
from processing_time.store import Store
from processing_time.timeline import previous_tick
from tests.integration.own_schema import LOGIN, SCHEMA, fresh, login

PROJECT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
PATIENCE = 180.0
"""Seconds that a server may take to start on a busy machine."""
TABLES = ("checks", "samples", "alerts", "notifications", "weekly", "monthly")
TOKEN = "a-token-for-prometheus"
_QUIET = ("gpu", "quic", "background-networking", "component-update", "sync")


class StatusPage:
    """Airflow with the page, to be asked as a person or a program asks."""

    def __init__(self, url: str, mariadb: Any, settings_file: Path) -> None:
        self.airflow, self.url = url, f"{url}/processing-time/"
        self._mariadb, self._settings_file = mariadb, settings_file

    @contextmanager
    def several(self) -> Iterator[None]:
        """Two applications in the settings for a while: Berlin's store works, Hamburg's has no connection."""
        targets = {"berlin": {"connections": {"store": "processing_time_store"}}, "hamburg": {}}
        self._settings_file.write_text(json.dumps({"targets": targets}), encoding="utf-8")
        yield
        self._settings_file.write_text("", encoding="utf-8")

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        """What a program is answered that follows no redirection."""
        return httpx.get(self.url + path, headers=headers, trust_env=False, timeout=PATIENCE)

    def token(self, username: str = "anna") -> str:
        """A token of Airflow for a user, as its API gives them."""
        body = {"username": username, "password": "password-of-anna"}
        answer = httpx.post(f"{self.airflow}/auth/token", json=body, trust_env=False, timeout=PATIENCE)
        return str(answer.json()["access_token"])

    def rows(self, sql: str, *parameters: Any) -> list[Mapping[str, Any]]:
        """Rows of the store, past the code under test."""
        with closing(
            login(self._mariadb, cursorclass=MySQLdb.cursors.DictCursor, autocommit=True)
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def history(self, *, days: int = 9, companies: int = 3) -> History:
        """Put a history into the emptied store, up to the check that was due last."""
        monitored = load()
        newest = previous_tick(monitored.schedule.health_check, monitored.zone, datetime.now(UTC))
        history = History(newest, days, companies)
        for table in TABLES:
            self.rows(f"DELETE FROM {table}")
        with closing(self._mariadb.root(SCHEMA)) as connection:
            fill(connection, history, monitored)
        return history


@contextmanager
def serving(mariadb: Any, folder: Path) -> Iterator[StatusPage]:
    """An API server of Airflow with a login, on the metadata database of this test run."""
    with Store(fresh(mariadb)) as store:
        store.sightings()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({"anna": "password-of-anna"}), encoding="utf-8")
    settings_file = folder / "settings.yaml"
    settings_file.touch()
    environment = {
        **os.environ,
        **settings(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "anna:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW_CONN_PROCESSING_TIME_STORE": mariadb.uri(LOGIN["user"], LOGIN["password"], SCHEMA),
        "AIRFLOW_CONN_PROCESSING_TIME_METRICS": json.dumps({"conn_type": "generic", "password": TOKEN}),
        CONFIG_VARIABLE: str(settings_file),
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    process = ManagedProcess(folder, "api-server")
    try:
        process.start(
            [sys.executable, "-m", "airflow", "api-server", "--apps", "core", "--workers", "1"],
            ready=lambda: answers(f"{url}/api/v2/version"),
            within=PATIENCE,
            environment=environment,
        )
        yield StatusPage(url, mariadb, settings_file)
    finally:
        process.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    arguments = [f"--disable-{name}" for name in _QUIET]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page of the browser, and everything on it that went wrong or went elsewhere."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.faults: list[str] = []
        page.set_default_timeout(60_000)
        page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", lambda request: self.faults.append(request.url))
        page.on(
            "request",
            lambda r: (
                None if r.url.startswith((origin, "data:")) else self.faults.append(f"elsewhere: {r.url}")
            ),
        )
