# SPDX-License-Identifier: MIT
"""The status page over HTTP: pages behind a login, OpenMetrics behind a token, and nothing from another origin."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response

from processing_time.page import companies, openmetrics, overview, periods
from processing_time.page.rendering import TEMPLATES, render
from processing_time.settings import Settings, SettingsError
from processing_time.store_page import PageStore
from processing_time.store_reports import Period
from processing_time.store_session import StoreError

log = logging.getLogger(__name__)

ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS = {
    # Style attributes are what drawings consist of; scripts and everything else come from files of ours.
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the page needs of the Airflow that serves it.

    :param connect: opens a DB-API connection to the store.
    :param settings: reads the settings.
    :param user: a dependency that gives the user, or raises 401 or 403.
    :param token: what Prometheus has to send; empty where metrics are not switched on.
    :param clock: the present time, UTC.
    """

    connect: Callable[[], Any]
    settings: Callable[[], Settings]
    user: Callable[..., Any]
    token: Callable[[], str]
    clock: Callable[[], datetime]


def build(around: Surroundings) -> FastAPI:
    """The application, to be mounted by Airflow under ``/processing-time``."""
    # No pages about the interface itself: they would load their scripts from elsewhere.
    app = FastAPI(title="Processing Time", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(_pages(around))
    app.include_router(_metrics(around))
    app.add_exception_handler(HTTPException, _login)
    app.add_exception_handler(StoreError, _broken)
    app.add_exception_handler(SettingsError, _broken)
    return app


def _pages(around: Surroundings) -> APIRouter:
    # Plain functions: they wait for the database, so Starlette runs them in threads.
    pages = APIRouter(dependencies=[Depends(around.user)])

    @pages.get("/")
    def show_overview() -> Response:
        settings = around.settings()
        with PageStore(around.connect) as store:
            return _page("overview.html", page=overview.read(store, settings, around.clock()))

    @pages.get("/companies")
    def show_companies() -> Response:
        settings = around.settings()
        with PageStore(around.connect) as store:
            return _page("companies.html", page=companies.read(store, settings, around.clock()))

    @pages.get("/reports")
    def show_reports(weekly: str = "", monthly: str = "") -> Response:
        settings = around.settings()
        chosen = {Period.WEEKLY: _day(weekly), Period.MONTHLY: _day(monthly)}
        with PageStore(around.connect) as store:
            return _page("reports.html", reports=periods.read(store, settings, chosen), chosen=chosen)

    @pages.get("/assets/{name}")
    def show_asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404)
        return FileResponse(
            TEMPLATES / name, media_type=ASSETS[name], headers=_HEADERS | {"Cache-Control": "no-cache"}
        )

    return pages


def _metrics(around: Surroundings) -> APIRouter:
    metrics = APIRouter()

    @metrics.get("/metrics")
    def show_metrics(request: Request) -> Response:
        if not (token := around.token()):
            return PlainTextResponse("Not switched on: see docs/status-page.md.\n", 404)
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
        try:
            with PageStore(around.connect) as store:
                text = openmetrics.expose(store, around.settings(), around.clock())
        except (StoreError, SettingsError) as error:
            return PlainTextResponse(f"{error}\n", 503)
        return Response(text, headers=_HEADERS, media_type=openmetrics.CONTENT_TYPE_LATEST)

    return metrics


def _page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(render(template, **values), status, _HEADERS)


def _day(text: str) -> date | None:
    """A day of a link; one that is none means the newest."""
    with suppress(ValueError):
        return date.fromisoformat(text)
    return None


async def _login(request: Request, error: Exception) -> Response:
    """Send a person without a login to Airflow's, and back; tell a program 401 as Airflow does."""
    assert isinstance(error, HTTPException)
    if error.status_code == 401 and "text/html" in request.headers.get("Accept", ""):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        root = request.scope.get("root_path", "").rpartition("/")[0]
        return RedirectResponse(f"{root}/api/v2/auth/login?{urlencode({'next': here})}", 307)
    return await http_exception_handler(request, error)


async def _broken(_: Request, error: Exception) -> Response:
    """Say what has to be mended; these errors are sentences without secrets."""
    log.warning("the status page cannot be shown: %s", error)
    return _page("broken.html", 503, sentence=str(error))
