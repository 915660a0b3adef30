# SPDX-License-Identifier: MIT
"""`python -m demo.picture`: runs a scenario and photographs its Slack thread, light and dark, for the README; then the status page
and the reports.

The pictures are what a headless Chromium shows of the stand-in Slack's page and of the reports' own, nothing is drawn. It wants Debian's packages
chromium, fonts-lato and fonts-noto-color-emoji.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from websockets.sync.client import connect

from demo import reports, stage, status_page
from demo.processes import ManagedProcess, ServiceError
from demo.reports import ReportDemo
from demo.run import Demo
from demo.services import MariaDB
from demo.slack import CHANNELS, StandInSlack

PICTURES = stage.PROJECT / "docs" / "pictures"
SCENARIO, TITLE = "outage_day", "Phase creation success rate"
WIDTH = 760
#: Widths in CSS pixels.
SCREENS = {"desktop": 1280, "phone": 390}


def main() -> int:
    """Make the pictures anew."""
    return _thread() or _status_page() or reports.main(_reports)


def _thread() -> int:
    console = Console(highlight=False)
    try:
        with stage.only_one(), stage.services(keep=False) as services:
            Demo(console, services).run(SCENARIO)
            page = _page(services.slack)
            with browser(stage.DEMO) as chromium:
                for scheme in ("light", "dark"):
                    file = PICTURES / f"slack-thread-{scheme}.png"
                    file.write_bytes(chromium.photograph(page, WIDTH, scheme))
                    console.print(f"{file.relative_to(stage.PROJECT)}: {file.stat().st_size:,} bytes")
    except ServiceError as error:
        console.print(str(error), style="red")
        return 1
    return 0


def _status_page() -> int:
    """The first page and the companies, and the list of several applications; on a desktop and on a phone, in both themes."""
    with stage.only_one(), MariaDB(stage.DEMO) as server, browser(stage.DEMO) as chromium:
        with status_page.served(server) as address:
            for page, name in (("", ""), ("companies", "companies-")):
                _photograph(chromium, address + page, name)
        with status_page.served(server, several=True) as address:
            _photograph(chromium, address, "targets-")
    return 0


def _photograph(chromium: Browser, address: str, name: str) -> None:
    for screen, width in (("desktop", 1280), ("phone", 360)):
        for scheme in ("light", "dark"):
            picture = chromium.photograph(address, width, scheme, 1)
            _keep(f"status-page-{name}{screen}-{scheme}.png", picture, highest=1600)


def _reports(demo: ReportDemo, services: stage.Services) -> None:
    """What the channel of the reports shows, and the pages of the reports on a desktop and on a phone."""
    with browser(stage.DEMO) as chromium:
        if services.slack is not None:
            channel = f"{services.slack.page_url}?channel={CHANNELS['reports']}"
            _keep("reports-slack.png", chromium.photograph(channel, WIDTH, "light", 1))
            roots = [m for m in demo.messages() if m.get("blocks") and "thread_ts" not in m]
            for name, root in zip(("weekly", "monthly"), roots, strict=True):
                thread = f"{channel}&thread={root['ts']}"
                _keep(f"{name}-slack-thread.png", chromium.photograph(thread, WIDTH, "light", 1))
        (chart,) = reports.PAGES.glob("weekly-*.png")
        _keep("weekly-chart.png", chart.read_bytes())
        for page in sorted(reports.PAGES.glob("*.html")):
            name = page.name.partition("-")[0]
            for screen, width in SCREENS.items():
                for scheme in ("light", "dark"):
                    picture = chromium.photograph(page.as_uri(), width, scheme, 1)
                    _keep(f"{name}-{screen}-{scheme}.png", picture)


def _keep(name: str, picture: bytes, highest: int = 20_000) -> None:
    """Keep a picture in 256 colours, of which these have far fewer, and no higher than so many pixels."""
    file = PICTURES / name
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image = image.crop((0, 0, image.width, min(image.height, highest)))
    image.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.relative_to(PICTURES.parent)}: {file.stat().st_size:,} bytes")


def _page(slack: StandInSlack | None) -> str:
    """The address of the thread to show."""
    if slack is None:
        raise ServiceError("The picture is of the stand-in Slack: unset AIRFLOW_CONN_PROCESSING_TIME_SLACK.")
    for message in slack.messages():
        if "thread_ts" not in message and TITLE in json.dumps(message, ensure_ascii=False):
            return f"{slack.page_url}?channel={message['channel']}&thread={message['ts']}"
    raise ServiceError(f"Slack holds no thread about {TITLE!r}: see {stage.AIRFLOW_LOG}.")


class Browser:
    """A page of a running Chromium, by its debugging protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def photograph(self, address: str, width: int, scheme: str, fineness: int = 2) -> bytes:
        """The whole page at an address as PNG, `width` CSS pixels wide and so much finer; `scheme` is light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._size(width, 100, fineness)  # the page is at least as high as the window
        self._call("Page.enable")
        self._call("Page.navigate", url=address)
        self._wait("Page.loadEventFired")
        height = self._call("Page.getLayoutMetrics")["cssContentSize"]["height"]
        self._size(width, int(height), fineness)
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _size(self, width: int, height: int, fineness: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=fineness,
            mobile=False,
        )

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=30))
            if answer.get("id") == number:
                if "error" in answer:
                    raise ServiceError(f"Chromium refuses {method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _wait(self, event: str) -> None:
        while json.loads(self._socket.recv(timeout=30)).get("method") != event:
            pass


@contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """A Chromium of its own, without a window; raises ServiceError when there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise ServiceError(
            "Chromium is not installed: run `apt-get install chromium fonts-lato fonts-noto-color-emoji`, then try again."
        )
    with tempfile.TemporaryDirectory(prefix="picture-") as profile:
        found = Path(profile) / "DevToolsActivePort"
        process = ManagedProcess(directory / "chromium", "chromium")
        quiet = ("background-networking", "component-update", "sync", "gpu")
        process.start(
            [
                *(program, "--headless", "--no-sandbox", "--no-first-run", "--hide-scrollbars"),
                *(f"--disable-{name}" for name in quiet),
                *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
            ],
            ready=lambda: found.exists() and "\n" in found.read_text(encoding="ascii"),
        )
        try:
            port, path = found.read_text(encoding="ascii").split()
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
                target = _first_page(socket)
            with connect(f"ws://127.0.0.1:{port}/devtools/page/{target}", max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.stop()


def _first_page(socket: Any) -> str:
    infos = Browser(socket)._call("Target.getTargets")["targetInfos"]
    return str(next(info["targetId"] for info in infos if info["type"] == "page"))


if __name__ == "__main__":
    sys.exit(main())
