# SPDX-License-Identifier: MIT
"""What Airflow mounts under ``/processing-time``: the status page of the application; where there are several, their list and the
page of each below the name of its target.

Which of the two it is, is read at each request: a new target needs no restart.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from processing_time.page import application
from processing_time.page.application import ASSETS, Surroundings
from processing_time.page.targets import Reader
from processing_time.settings import SettingsError


def build(around: Surroundings) -> ASGIApp:
    """The whole status page."""
    one = application.build(around)
    several = _several(around, one)

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        http = scope["type"] == "http"
        app = several if http and await run_in_threadpool(_are_several, around, scope) else one
        await app(scope, receive, send)

    return site


def _are_several(around: Surroundings, scope: Scope) -> bool:
    try:
        return bool(around.targets())
    except SettingsError:
        # Nobody knows. The page of whatever the path seems to be about says why.
        return str(scope["path"]).removeprefix(scope.get("root_path", "")).count("/") > 1


def _several(around: Surroundings, one: FastAPI) -> FastAPI:
    """The list of the targets, and the pages of one below the name of each."""
    app = application.empty()
    app.include_router(_list(around))
    app.mount("/{target}", one)
    application.add_handlers(app, around)
    return app


def _list(around: Surroundings) -> APIRouter:
    router = APIRouter()
    pages = APIRouter(dependencies=[Depends(around.user)])
    reader = Reader(around)

    @pages.get("/")
    def show_targets() -> Response:
        return application.page("targets.html", page=reader.read())

    # Each by its name: a target may be called assets.
    for name in ASSETS:
        pages.add_api_route(f"/assets/{name}", partial(application.asset, name))

    @router.get("/metrics")
    def show_no_metrics() -> Response:
        return PlainTextResponse("Each target has its own, at <target>/metrics.\n", 404)

    router.include_router(pages)

    @router.get("/{target}")
    def add_slash(target: str) -> Response:
        # Relative, as everything here: the address that a proxy gives us is not known.
        return RedirectResponse(f"./{quote(target, safe='')}/", 307)

    return router
