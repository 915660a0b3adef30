# SPDX-License-Identifier: MIT
"""The status page in Airflow's navigation: *Processing Time*. The one file here that Airflow's plugin scanner loads.

Every process of Airflow loads it, only the API server serves it: so the page itself is imported at the first request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from processing_time.settings import Settings

METRICS = "processing_time_metrics"
"""The connection whose password Prometheus has to send, where no settings say otherwise."""

PATIENCE = 10
"""Seconds that a silent store is waited for: the API server has few threads, and its other pages need them."""

_Message = MutableMapping[str, Any]


@cache
def application() -> ASGIApp:
    """The page with what it needs of this Airflow: its login, its connections, the clock."""
    from airflow.api_fastapi.core_api.security import get_user

    from processing_time.operators import run
    from processing_time.page import site
    from processing_time.page.application import Surroundings
    from processing_time.settings import target_names

    return site.build(
        Surroundings(
            connect=_connect,
            settings=_settings,
            targets=target_names,
            user=get_user,
            token=_token,
            clock=run.present,
        )
    )


def _connect(settings: Settings) -> Any:
    from airflow.sdk.exceptions import AirflowNotFoundException

    from processing_time.operators import connections
    from processing_time.store_session import StoreError

    try:
        return connections.store_connect(settings, patience=PATIENCE)()
    except AirflowNotFoundException:
        raise StoreError(
            f"there is no connection {settings.connections.store}: set it up as docs/install.md says"
        ) from None


def _settings(target: str) -> Settings:
    from processing_time.settings import load

    return load(target=target)


def _token(target: str) -> str:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from processing_time.settings import SettingsError

    try:
        conn_id = _settings(target).connections.metrics
    except SettingsError:
        conn_id = METRICS  # only who knows the token is told what is wrong with them
    try:
        return BaseHook.get_connection(conn_id).password or ""
    except AirflowNotFoundException:
        return ""


class _AtFirstRequest:
    """An ASGI application that is made when it is asked for the first time."""

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        await application()(scope, receive, send)


class ProcessingTimePage(AirflowPlugin):
    """The page and its entry in the navigation, in the menu *Browse*.

    Without ``url_route`` there is no sandboxed frame around the page. At the top level Airflow 3.3 makes a button of such an
    entry on which a click does nothing; in a menu it is a link.
    """

    name = "processing_time_page"
    fastapi_apps = [  # noqa: RUF012  # as Airflow declares it
        {"app": _AtFirstRequest(), "url_prefix": "/processing-time", "name": "Processing Time"}
    ]
    external_views = [  # noqa: RUF012
        {"name": "Processing Time", "href": "/processing-time/", "destination": "nav", "category": "browse"}
    ]
