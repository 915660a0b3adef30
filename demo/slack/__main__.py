# SPDX-License-Identifier: MIT
"""`python -m demo.slack --port P --state FILE`: serve the stand-in Slack, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from demo.slack.server import DroppableProtocol, SlackServer
from demo.slack.workspace import Workspace


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m demo.slack", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; in a container 0.0.0.0")
    parser.add_argument("--state", type=Path, required=True, help="JSON file that keeps the workspace")
    parser.add_argument("--site", default="", help="where people open the page, if not at this host and port")
    arguments = parser.parse_args()
    server = SlackServer(Workspace(arguments.state), arguments.site)
    uvicorn.run(
        server.application(),
        host=arguments.host,
        port=arguments.port,
        http=DroppableProtocol,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
