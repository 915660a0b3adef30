# SPDX-License-Identifier: MIT
"""A record of measurements as a table in the terminal, and as docs/performance.md shows it.

`python -m benchmarks.report` takes the full run of .bench into the repository: docs/performance.json, the marked blocks of
docs/performance.md, and the pictures.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks import plots
from benchmarks.figures import Figure, Size
from benchmarks.record import PARTS, Record, figures, unmeasured
from benchmarks.work import WORK

DOCS = Path(__file__).resolve().parents[1] / "docs"
COMMITTED = DOCS / "performance.json"
PAGE = DOCS / "performance.md"
MEASURED = WORK / "full.json"
MET, MISSED = "met", "missed"

_BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Take the full run of .bench into the documentation."""
    if not MEASURED.exists():
        sys.stderr.write("There is no full run yet: make bench, then try again.\n")
        return 1
    record = json.loads(MEASURED.read_text(encoding="utf-8"))
    COMMITTED.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), record), encoding="utf-8")
    plots.draw(record, DOCS / "pictures")
    return 0


def table(record: Record, parts: Sequence[str] = PARTS) -> Table:
    """Every figure, for a terminal."""
    shown = Table(box=box.SIMPLE_HEAD, title_justify="left")
    for title, justify in (
        ("", "left"),
        ("measured", "right"),
        ("target", "right"),
        ("", "left"),
        ("note", "left"),
    ):
        shown.add_column(title, justify=justify, overflow="fold")
    for part in parts:
        shown.add_row(Text(part, style="bold"))
        for figure in figures(record, part):
            said = verdict(figure, record["size"])
            style = {MET: "green", MISSED: "bold red"}.get(said, "")
            shown.add_row(
                figure.title, value(figure), target(figure), Text(said, style), Text(figure.note, "dim")
            )
        for why in unmeasured(record, part):
            shown.add_row(Text(why, style="red"))
        shown.add_section()
    return shown


def refreshed(page: str, record: Record) -> str:
    """The page with its marked blocks written anew."""
    blocks = {"machine": _machine, "summary": _targets, **{part: _of_part(part) for part in PARTS}}
    return _BLOCK.sub(lambda m: "\n".join((m[1], *blocks[m[2]](record), "", m[3])), page)


def value(figure: Figure) -> str:
    """The number as people read it: three digits, a space before the unit."""
    text = number(figure.value)
    return f"{'at least ' if figure.at_least else ''}{text} {figure.unit}"


def number(amount: float) -> str:
    """Three digits that count, whole thousands in full."""
    if abs(amount) >= 100:
        return f"{amount:,.0f}"
    return f"{amount:#.3g}".rstrip(".") if amount else "0"


def target(figure: Figure) -> str:
    """The bound, or nothing."""
    return f"{figure.target.sense} {figure.target.bound:g} {figure.unit}" if figure.target else ""


def verdict(figure: Figure, size: str) -> str:
    """Whether the target is met; targets hold at full size only."""
    if figure.target is None:
        return ""
    if size != Size.FULL:
        return "(at full size)"
    # A slow side that was cut off makes "so many times faster" larger still; where small is good, nothing is proved.
    unproved = figure.at_least and figure.target.sense == "at most"
    return MET if figure.target.met(figure.value) and not unproved else MISSED


def _machine(record: Record) -> Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    for name, fact in record["machine"].items():
        yield f"| {name} | {fact} |"
    yield ""
    yield "| part | measured | took | load of the machine before |"
    yield "| --- | --- | ---: | ---: |"
    for part in PARTS:
        if of := record["parts"].get(part):
            yield _row(part, of["measured"], f"{of['seconds']} s", f"{of['load']:g}")


def _targets(record: Record) -> Iterator[str]:
    yield "| what | target | measured | |"
    yield "| --- | ---: | ---: | --- |"
    for part in PARTS:
        for figure in figures(record, part):
            if figure.target:
                said = verdict(figure, record["size"])
                yield _row(
                    figure.title, target(figure), value(figure), f"**{said}**" if said == MISSED else said
                )
        for why in unmeasured(record, part):
            yield _row(why, "", "", "")


def _of_part(part: str) -> Any:
    def lines(record: Record) -> Iterator[str]:
        yield "| what | measured | note |"
        yield "| --- | ---: | --- |"
        for figure in figures(record, part):
            yield _row(figure.title, value(figure), figure.note)
        for why in unmeasured(record, part):
            yield _row(why, "", "")
        yield from (
            f"\n![{plot.title}, over the {plot.size}](pictures/{plot.name}.svg)"
            for plot in plots.PLOTS
            if plot.part == part and any(plots.lines(plot, record).values())
        )

    return lines


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
