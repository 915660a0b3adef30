# SPDX-License-Identifier: MIT
"""A stand-in for the one question that is asked of Cal.com: ``GET /v2/health``, which answers ``OK`` as plain text.

The real one answers whoever asks; this one, stricter, wants an API key as well, so that a test sees that it was sent. Any
other path and method is refused as Cal.com's API does it, and it can be told to be ill, to throttle, or to hang.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY = "cal_live_0123456789abcdef"
_NOT_FOUND = '{"status":"error","error":{"code":"NotFoundException","message":"Cannot GET this","details":{"statusCode":404}}}'


class StandInCalcom:
    """Cal.com's API on a port of 127.0.0.1, in a thread of this process.

    :ivar status: what it answers when it is asked well.
    :ivar hang: seconds until it answers.
    """

    def __init__(self) -> None:
        self.status = 200
        self.hang = 0.0
        self._ended = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in._ended.wait(stand_in.hang)
                if self.path != "/v2/health":
                    self._say(404, _NOT_FOUND, "application/json; charset=utf-8")
                elif self.headers.get("Authorization") != f"Bearer {KEY}":
                    self._say(401, "Unauthorized", "text/plain")
                else:
                    body = "OK" if stand_in.status == 200 else "…"
                    self._say(stand_in.status, body, "text/html; charset=utf-8")

            def _say(self, status: int, body: str, kind: str) -> None:
                data = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
