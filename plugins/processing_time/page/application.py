# SPDX-License-Identifier: MIT
"""The status page of one application over HTTP: pages behind a login, OpenMetrics behind a token, and nothing from another origin.

Where there are several, :mod:`site` puts the list of them before it, and each below the name of its target.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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

    :param connect: opens a DB-API connection to the store of these settings.
    :param settings: reads the settings of a target; of the application, where the name is empty.
    :param targets: reads the names of the targets; none where there is one application.
    :param user: a dependency that gives the user, or raises 401 or 403.
    :param token: what Prometheus has to send for a target; empty where metrics are not switched on.
    :param clock: the present time, UTC.
    """

    connect: Callable[[Settings], Any]
    settings: Callable[[str], Settings]
    targets: Callable[[], Sequence[str]]
    user: Callable[..., Any]
    token: Callable[[str], str]
    clock: Callable[[], datetime]

    @contextmanager
    def store(self, settings: Settings) -> Iterator[PageStore]:
        """The store of these settings.

        :raises StoreError: when it cannot be used; with the id of its connection.
        """
        try:
            with PageStore(lambda: self.connect(settings)) as store:
                yield store
        except StoreError as error:
            raise StoreError(settings.named(str(error))) from None


def build(around: Surroundings) -> FastAPI:
    """The pages of the target that the path of the mount names; of the application, where it names none."""
    app = empty()
    app.include_router(_pages(around))
    app.include_router(_metrics(around))
    add_handlers(app, around)
    return app


def empty() -> FastAPI:
    """An application without pages."""
    # Nor any about the interface itself: they would load their scripts from elsewhere.
    return FastAPI(title="Processing Time", openapi_url=None, docs_url=None, redoc_url=None)


def add_handlers(app: FastAPI, around: Surroundings) -> None:
    """Let an application answer a missing login, a store and settings that cannot be used."""

    def broken(request: Request, error: Exception) -> Response:
        return _broken(around, request, error)

    app.add_exception_handler(HTTPException, _login)
    app.add_exception_handler(StoreError, broken)
    app.add_exception_handler(SettingsError, broken)


def _pages(around: Surroundings) -> APIRouter:
    # Plain functions: they wait for the database, so Starlette runs them in threads.
    pages = APIRouter(dependencies=[Depends(around.user)])

    @pages.get("/")
    def show_overview(request: Request) -> Response:
        settings = around.settings(_target(request))
        with around.store(settings) as store:
            return page("overview.html", settings.target, page=overview.read(store, settings, around.clock()))

    @pages.get("/companies")
    def show_companies(request: Request) -> Response:
        settings = around.settings(_target(request))
        with around.store(settings) as store:
            return page(
                "companies.html", settings.target, page=companies.read(store, settings, around.clock())
            )

    @pages.get("/reports")
    def show_reports(request: Request, weekly: str = "", monthly: str = "") -> Response:
        settings = around.settings(_target(request))
        chosen = {Period.WEEKLY: _day(weekly), Period.MONTHLY: _day(monthly)}
        with around.store(settings) as store:
            reports = periods.read(store, settings, chosen)
        return page("reports.html", settings.target, reports=reports)

    @pages.get("/assets/{name}")
    def show_asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404)
        return asset(name)

    return pages


def _metrics(around: Surroundings) -> APIRouter:
    metrics = APIRouter()

    @metrics.get("/metrics")
    def show_metrics(request: Request) -> Response:
        target = _target(request)
        if not (token := around.token(target)):
            return PlainTextResponse("Not switched on: see docs/status-page.md.\n", 404)
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
        try:
            settings = around.settings(target)
            with around.store(settings) as store:
                text = openmetrics.expose(store, settings, around.clock())
        except (StoreError, SettingsError) as error:
            return PlainTextResponse(f"{error}\n", 404 if _missing(around, target, error) else 503)
        return Response(text, headers=_HEADERS, media_type=openmetrics.CONTENT_TYPE_LATEST)

    return metrics


def asset(name: str) -> Response:
    """One of the files that the pages load."""
    return FileResponse(
        TEMPLATES / name, media_type=ASSETS[name], headers=_HEADERS | {"Cache-Control": "no-cache"}
    )


def page(template: str, target: str = "", status: int = 200, **values: Any) -> HTMLResponse:
    """A page as an answer.

    :param target: whose page it is; empty where there is one application, and for the list of all.
    """
    return HTMLResponse(render(template, target=target, **values), status, _HEADERS)


def _target(request: Request) -> str:
    return str(request.path_params.get("target", ""))


def _day(text: str) -> date | None:
    """A day of a link; one that is none means the newest."""
    with suppress(ValueError):
        day = date.fromisoformat(text)
        return day if day.year < date.max.year else None  # no week begins in its last days
    return None


async def _login(request: Request, error: Exception) -> Response:
    """Send a person without a login to Airflow's, and back; tell a program 401 as Airflow does."""
    assert isinstance(error, HTTPException)
    if error.status_code == 401 and "text/html" in request.headers.get("Accept", ""):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        root = request.scope.get("app_root_path", "")
        return RedirectResponse(f"{root}/api/v2/auth/login?{urlencode({'next': here})}", 307)
    return await http_exception_handler(request, error)


def _broken(around: Surroundings, request: Request, error: Exception) -> Response:
    """Say what has to be mended; these errors are sentences without secrets."""
    target = _target(request)
    if _missing(around, target, error):
        return page("missing.html", status=404, name=target, names=around.targets())
    log.warning("the status page cannot be shown: %s", error)
    return page("broken.html", target, 503, sentence=str(error))


def _missing(around: Surroundings, target: str, error: Exception) -> bool:
    """Whether the error is that there is no such target."""
    with suppress(SettingsError):
        return isinstance(error, SettingsError) and bool(target) and target not in around.targets()
    return False
