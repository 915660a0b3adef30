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
    from fastapi import FastAPI

    from processing_time.settings import Settings

METRICS = "processing_time_metrics"
"""The connection whose password Prometheus has to send."""

_Message = MutableMapping[str, Any]


@cache
def application() -> FastAPI:
    """The page with what it needs of this Airflow: its login, its connections, the clock."""
    from airflow.api_fastapi.core_api.security import get_user

    from processing_time.operators import run
    from processing_time.page.application import Surroundings, build

    return build(
        Surroundings(
            connect=_connect,
            settings=_settings,
            user=get_user,
            token=_token,
            clock=run.present,
        )
    )


def _connect() -> Any:
    from airflow.sdk.exceptions import AirflowNotFoundException

    from processing_time.operators import connections
    from processing_time.store_session import StoreError

    try:
        return connections.mysql_connect(_settings().connections.store)()
    except AirflowNotFoundException:
        raise StoreError(
            f"there is no connection {_settings().connections.store}: set it up as docs/install.md says"
        ) from None


def _settings() -> Settings:
    from processing_time.settings import load

    return load()


def _token() -> str:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(METRICS).password or ""
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
