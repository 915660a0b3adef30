# SPDX-License-Identifier: MIT
"""`python -m benchmarks`: measure, show a table, and keep every run in .bench/SIZE.json.

Ends with 0 when every part could be measured, whether or not a target was missed. Parts that are measured again replace
what the file has of them; generated data stays in .bench, so that a second run is quicker.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from benchmarks import machine
from benchmarks.figures import Bench, Size
from benchmarks.record import ABSENT, PARTS, as_json
from benchmarks.report import table
from benchmarks.work import WORK, only_one
from demo.processes import ServiceError
from demo.workplace import Busy


def main() -> int:
    """Measure the parts that the command line names."""
    signal.signal(signal.SIGTERM, _end)
    arguments = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    try:
        with only_one():
            return _measure(arguments, console)
    except Busy as error:
        console.print(str(error))
        return 1
    except KeyboardInterrupt:
        console.print("Ended. The parts that were finished are kept.")
        return 130


def _measure(arguments: argparse.Namespace, console: Console) -> int:
    size = Size(arguments.size)
    file = WORK / f"{size}.json"
    record = _begun(file, size)
    for part in arguments.parts:
        record["parts"][part] = _part(part, arguments, console)
        file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(table(record, arguments.parts))
    console.print(f"Every run: {os.path.relpath(file)}")
    return int(any(record["parts"][part]["missing"] for part in arguments.parts))


def _part(part: str, arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    start, load = time.monotonic(), os.getloadavg()[0]
    absent: list[str] = []

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - start:6.0f} s  {part}[/dim]  {line}")
        if ABSENT in line:
            absent.append(line)

    if load > 1:
        say(f"the machine is busy (load {load:.1f}): even ratios are not worth much now")
    figures, missing = [], ""
    bench = Bench(Size(arguments.size), WORK, arguments.peers, arguments.limit, say)
    try:
        figures = importlib.import_module(f"benchmarks.{part}").measure(bench)
    except ServiceError as error:
        missing = str(error)
    except Exception as error:  # noqa: BLE001  # the other parts are worth measuring nevertheless
        console.print(traceback.format_exc(), markup=False)
        missing = f"{type(error).__name__}: {error}"
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "seconds": round(time.monotonic() - start),
        "load": round(load, 2),
        "peers": arguments.peers,
        "figures": [as_json(figure) for figure in figures],
        "missing": missing,
        "absent": list(dict.fromkeys(absent)),
    }


def _begun(file: Path, size: Size) -> dict[str, Any]:
    """A record of this machine, with the parts in it that were measured on it before."""
    facts = machine.facts()
    parts = {}
    if file.exists():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        if all(earlier["machine"].get(name) == facts[name] for name in machine.HARDWARE):
            parts = earlier["parts"]
    return {"size": size, "machine": facts, "parts": parts}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and show a table.")
    parser.add_argument(
        "--size",
        choices=[*Size],
        default=Size.FULL,
        help="small shows in a few minutes that everything runs",
    )
    parser.add_argument(
        "--peers", action="store_true", help="measure the alternatives that are installed, too"
    )
    parser.add_argument(
        "--limit", type=float, default=600, help="seconds after which a slow comparison is cut off"
    )
    parser.add_argument("parts", nargs="*", type=_known, metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    arguments.parts = arguments.parts or list(PARTS)
    return arguments


def _known(part: str) -> str:
    if part not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no {part}; choose of {', '.join(PARTS)}")
    return part


def _end(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends it as Ctrl-C does: the servers that it started go with it."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
