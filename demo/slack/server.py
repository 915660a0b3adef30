# SPDX-License-Identifier: MIT
"""The HTTP side of the stand-in Slack: the Web API, a control interface for tests and demos, and the page.

Control (JSON in, JSON out; no token):

    POST /_control/reset       forget everything
    POST /_control/state       {"channels": {…}, "users": {…}, "tokens": {…}, "enforce_rate": true, "clock": 1700000000}
    POST /_control/faults      {"method": "chat.postMessage", "kind": "429", "retry_after": 1, "times": 1}
    POST /_control/reactions   {"channel": "C…", "ts": "…", "name": "eyes", "user": "U…"}
    GET  /_control/messages    every message with its channel and metadata, oldest first
    GET  /_control/calls       every call made: method, arguments (never the token), answer, time
"""

from __future__ import annotations

import asyncio
import base64
import json
import mimetypes
import time
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from demo.slack import page
from demo.slack.methods import METHODS, Call, SlackError
from demo.slack.workspace import Workspace

#: What a fault does: refuse (429, 500, ok_false), or not answer (hang, drop); the accept_… ones do their work first.
FAULTS = frozenset(
    {"429", "500", "ok_false", "hang", "drop", "accept_then_500", "accept_then_hang", "accept_then_drop"}
)

_FOLDER = Path(__file__).parent
_transports: dict[tuple[str, int], asyncio.Transport] = {}


class DroppableProtocol(H11Protocol):
    """uvicorn's HTTP protocol that lets a handler cut the connection without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection by the client's address."""
        super().connection_made(transport)
        _transports[transport.get_extra_info("peername")[:2]] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        _transports.pop(self.transport.get_extra_info("peername")[:2], None)
        super().connection_lost(exc)


class SlackServer:
    """The request handlers over one workspace; `site` is where people open its page if not where the monitor calls it."""

    def __init__(self, workspace: Workspace, site: str = "") -> None:
        self.workspace = workspace
        self._site = site.rstrip("/")
        self.calls: list[dict[str, Any]] = []
        self.faults: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self._last_post: dict[str, float] = {}

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/api/{method}", self.api, methods=["GET", "POST"]),
                Route("/upload/{file}", self.upload, methods=["POST"]),
                Route("/files/{file}", self.file),
                Route("/_control/{what}", self.control, methods=["GET", "POST"]),
                Route("/archives/{channel}/{message}", self.permalink),
                Route("/page.{kind}", self.asset),
                Route("/", self.show),
            ]
        )

    async def api(self, request: Request) -> Response:
        """One Web API call, with the fault that is due for its method, if any."""
        method = request.path_params["method"]
        arguments = await _arguments(request)
        record = {"method": method, "arguments": arguments, "at": time.time(), "fault": None, "answer": None}
        self.calls.append(record)
        fault = self.faults[method].popleft() if self.faults[method] else None
        kind = fault["kind"] if fault else ""
        record["fault"] = kind or None
        if kind in ("hang", "drop"):
            return await _no_answer(request, kind)
        try:
            if fault is not None:
                _refuse(fault)
            answer = self._answer(request, method, arguments)
        except SlackError as error:
            record["answer"] = error.answer
            return JSONResponse(error.answer, error.status, {**self._scopes(request), **error.headers})
        record["answer"] = answer
        if kind == "accept_then_500":
            return PlainTextResponse("Internal Server Error", 500)
        if kind.startswith("accept_then"):
            return await _no_answer(request, kind)
        return JSONResponse(answer, headers=self._scopes(request))

    def _answer(self, request: Request, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        if not method.json_body and _is_json(request):
            arguments = {}
        caller = {"scopes": [], "user_id": "", "bot_id": ""}
        if name != "api.test":
            caller = self._caller(request)
        origin = str(request.base_url).rstrip("/")
        call = Call(self.workspace, caller, arguments, origin, self._site or origin)
        if method.scope is not None:
            call.scope(method.scope)
        if name == "chat.postMessage":
            self._keep_rate(str(arguments.get("channel")))
        return {"ok": True, **method.run(call)}

    def _caller(self, request: Request) -> dict[str, Any]:
        token = _token(request)
        if not token:
            raise SlackError("not_authed")
        caller: dict[str, Any] | None = self.workspace.tokens.get(token)
        if caller is None:
            raise SlackError("invalid_auth")
        return caller

    def _scopes(self, request: Request) -> dict[str, str]:
        caller = self.workspace.tokens.get(_token(request))
        return {"x-oauth-scopes": ",".join(caller["scopes"])} if caller else {}

    def _keep_rate(self, channel: str) -> None:
        """One message a second a channel, when the workspace is strict about it."""
        now = time.monotonic()
        if self.workspace.enforce_rate and now - self._last_post.get(channel, -1.0) < 1.0:
            raise SlackError("ratelimited", status=429, headers={"Retry-After": "1"})
        self._last_post[channel] = now

    async def upload(self, request: Request) -> Response:
        """The second step of a file upload: the bytes, raw or as a form."""
        entry = self.workspace.files.get(request.path_params["file"])
        if entry is None:
            return PlainTextResponse("Not Found", 404)
        body = await request.body()
        if request.headers.get("content-type", "").startswith("multipart/"):
            async with request.form() as form:
                part = next(iter(form.values()))
                body = part.encode() if isinstance(part, str) else await part.read()
        if len(body) != entry["length"]:
            return PlainTextResponse("size mismatch", 400)
        content = base64.b64encode(body).decode()
        self.workspace.update({"files": {entry["id"]: {"size": len(body), "content": content}}})
        return PlainTextResponse(f"OK - {len(body)}")

    async def file(self, request: Request) -> Response:
        """An uploaded file, for the page. What it holds may do nothing there."""
        entry = self.workspace.files.get(request.path_params["file"])
        if entry is None or "content" not in entry:
            return PlainTextResponse("Not Found", 404)
        kind = mimetypes.guess_type(entry["name"])[0] or "application/octet-stream"
        headers = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
        return Response(base64.b64decode(entry["content"]), media_type=kind, headers=headers)

    async def control(self, request: Request) -> Response:
        """The interface of tests and demos, see the module's text."""
        what = request.path_params["what"]
        body = await request.json() if request.method == "POST" and await request.body() else {}
        if what == "reset":
            self.calls.clear()
            self.faults.clear()
            self._last_post.clear()
            self.workspace.reset()
        elif what == "state":
            self.workspace.update(body)
        elif what == "faults":
            if body.get("kind") not in FAULTS or body.get("method") not in METHODS:
                return JSONResponse({"error": f"no such fault: {body}"}, 400)
            self.faults[body["method"]].extend([body] * int(body.get("times", 1)))
        elif what == "reactions":
            self.workspace.react(body["channel"], body["ts"], body["name"], body["user"])
        elif what == "messages":
            return JSONResponse(
                sorted(
                    (
                        {"channel": channel, **message}
                        for channel, messages in self.workspace.messages.items()
                        for message in messages
                    ),
                    key=lambda message: float(message["ts"]),
                )
            )
        elif what == "calls":
            return JSONResponse(self.calls)
        else:
            return JSONResponse({"error": f"no such control: {what}"}, 404)
        return JSONResponse({"ok": True})

    async def show(self, request: Request) -> Response:
        """The workspace, or with `channel` and `thread` a part of it, as a page."""
        html = page.render(
            self.workspace, request.query_params.get("channel", ""), request.query_params.get("thread", "")
        )
        return HTMLResponse(html, headers=page.SECURITY_HEADERS)

    async def permalink(self, request: Request) -> Response:
        """Follow a permalink to the thread on the page."""
        digits = request.path_params["message"].removeprefix("p")
        thread = request.query_params.get("thread_ts", f"{digits[:-6]}.{digits[-6:]}")
        return RedirectResponse(f"/?channel={request.path_params['channel']}&thread={thread}")

    async def asset(self, request: Request) -> Response:
        """The page's style sheet and script."""
        kind = request.path_params["kind"]
        if kind not in ("css", "js"):
            return PlainTextResponse("Not Found", 404)
        return FileResponse(_FOLDER / f"page.{kind}")


def _refuse(fault: dict[str, Any]) -> None:
    if fault["kind"] == "429":
        seconds = str(fault.get("retry_after", 1))
        raise SlackError("ratelimited", status=429, headers={"Retry-After": seconds})
    if fault["kind"] == "500":
        raise SlackError("internal_error", status=500)
    if fault["kind"] == "ok_false":
        raise SlackError(fault.get("error", "fatal_error"))


async def _no_answer(request: Request, kind: str) -> Response:
    if kind.endswith("hang"):
        while not await request.is_disconnected():
            await asyncio.sleep(0.05)
    elif request.client is not None:
        _transports[(request.client.host, request.client.port)].abort()
    return Response()


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else str(getattr(request.state, "token", ""))


async def _arguments(request: Request) -> dict[str, Any]:
    """The arguments of a call from its query, form or JSON body, without the token (which a form may carry)."""
    arguments: dict[str, Any] = dict(request.query_params)
    if _is_json(request):
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            body = {}
        arguments.update(body if isinstance(body, dict) else {})
        arguments.pop("token", None)
    elif request.method == "POST":
        async with request.form() as form:
            arguments.update({key: value for key, value in form.items() if isinstance(value, str)})
    request.state.token = arguments.pop("token", "")
    return arguments
