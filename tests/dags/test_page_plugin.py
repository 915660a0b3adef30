# SPDX-License-Identifier: MIT
"""The plugin as Airflow loads it: in every process, so it must cost nothing there."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from processing_time.settings import load

HEAVY = (
    "matplotlib",
    "numpy",
    "prometheus_client",
    "processing_time.page",
    "processing_time.settings",
    "MySQLdb",
)


def test_loading_the_plugin_imports_nothing_of_the_page() -> None:
    script = (
        "import sys, airflow.plugins_manager; before = set(sys.modules); import processing_time_page;"
        f" print([name for name in {HEAVY!r} if name in set(sys.modules) - before])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines()[-1] == "[]"


def test_airflow_knows_the_page_and_its_entry(airflow_db: None) -> None:
    from airflow import plugins_manager

    apps, _ = plugins_manager.get_fastapi_plugins()
    assert [app["url_prefix"] for app in apps if app["name"] == "Processing Time"] == ["/processing-time"]
    (info,) = [p for p in plugins_manager.get_plugin_info() if p["name"] == "processing_time_page"]
    (view,) = info["external_views"]
    assert view == {
        "name": "Processing Time",
        "href": "/processing-time/",
        "destination": "nav",
        "category": "browse",
    }, "with a url_route there would be a sandboxed frame, at the top level a button without effect"


def test_without_the_store_s_connection_there_is_a_sentence(airflow_db: None) -> None:
    import processing_time_page
    from processing_time.store_session import StoreError

    with pytest.raises(StoreError, match="no connection processing_time_store: set it up"):
        processing_time_page._connect(load())


def test_the_store_of_a_target_has_its_own_connection_that_must_name_a_schema(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import processing_time_page
    from processing_time.store_session import StoreError

    monkeypatch.setenv("PROCESSING_TIME__TARGETS", '{"berlin": {}}')
    berlin = processing_time_page._settings("berlin")
    with pytest.raises(StoreError, match="no connection processing_time_store__berlin: set it up"):
        processing_time_page._connect(berlin)
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_STORE__BERLIN", "mysql://nobody@127.0.0.1:1")
    with pytest.raises(StoreError, match="processing_time_store__berlin names no database"):
        processing_time_page._connect(berlin)


def test_a_store_that_says_nothing_does_not_keep_a_thread_of_the_api_server(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import processing_time_page
    from processing_time.store_session import error_code

    monkeypatch.setattr(processing_time_page, "PATIENCE", 1)
    errors: list[Exception] = []

    def connect() -> None:
        try:
            processing_time_page._connect(load())
        except Exception as error:  # noqa: BLE001  # looked at below
            errors.append(error)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"mysql://nobody@127.0.0.1:{silent.getsockname()[1]}/store"
        monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_STORE", address)
        waiting = threading.Thread(target=connect, daemon=True)
        waiting.start()
        waiting.join(60)
    assert [error_code(error) for error in errors] == [2013]


def test_without_a_connection_for_prometheus_metrics_are_off(airflow_db: None) -> None:
    import processing_time_page

    assert processing_time_page._token("") == ""


def test_the_token_for_prometheus_is_common_unless_a_target_has_its_own(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import processing_time_page

    for name in ("processing_time_metrics", "of_hamburg"):
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{name.upper()}", f'{{"conn_type": "generic", "password": "{name}"}}'
        )
    monkeypatch.setenv(
        "PROCESSING_TIME__TARGETS", '{"berlin": {}, "hamburg": {"connections": {"metrics": "of_hamburg"}}}'
    )
    tokens = {target: processing_time_page._token(target) for target in ("", "berlin", "hamburg", "nowhere")}
    assert tokens.pop("hamburg") == "of_hamburg"
    assert set(tokens.values()) == {"processing_time_metrics"}
