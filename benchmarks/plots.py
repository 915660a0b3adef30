# SPDX-License-Identifier: MIT
"""Pictures of how cost grows with size, drawn from the figures whose keys end with a size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.record import Record, figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

Point = tuple[float, float]
"""A size, and a value."""
COLOURS = ("#2563eb", "#c2410c", "#64748b")


@dataclass(frozen=True)
class Plot:
    """One picture: lines over a size.

    :param series: by label, the beginning of the keys of its points; what follows is the size.
    """

    name: str
    part: str
    title: str
    size: str
    unit: str
    series: Mapping[str, str]


PLOTS = (
    Plot(
        "performance-rows",
        "database",
        "Rows read for one check",
        "appointments in the table",
        "rows",
        {"rows read": "rows_read_"},
    ),
    Plot(
        "performance-check",
        "database",
        "One check of the database",
        "appointments in the table",
        "ms",
        {"check": "check_"},
    ),
    Plot(
        "performance-log",
        "log",
        "Reading the log",
        "MiB of log",
        "seconds",
        {"whole file": "whole_", "last hour": "last_hour_", "rg -c, whole file": "rg_"},
    ),
)


def draw(record: Record, folder: Path) -> list[Path]:
    """Draw each picture that has points, as SVG that is the same for the same record."""
    import matplotlib

    matplotlib.rcParams.update({"svg.hashsalt": "performance", "svg.fonttype": "none"})
    drawn = []
    for plot in PLOTS:
        of_plot = lines(plot, record)
        if any(of_plot.values()):
            path = folder / f"{plot.name}.svg"
            _picture(plot, of_plot).savefig(path, format="svg", metadata={"Date": None})
            drawn.append(path)
    return drawn


def lines(plot: Plot, record: Record) -> dict[str, list[Point]]:
    """The points of each line of a picture."""
    return {label: points(record, plot.part, start) for label, start in plot.series.items()}


def points(record: Record, part: str, start: str) -> list[Point]:
    """Size and value of the figures whose keys are a beginning and a number."""
    found = [(re.fullmatch(rf"{start}(\d+)", figure.key), figure.value) for figure in figures(record, part)]
    return sorted((float(match[1]), value) for match, value in found if match)


def _picture(plot: Plot, of_plot: Mapping[str, list[Point]]) -> Picture:
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(6.4, 3.2), layout="constrained", facecolor="white")
    axes = picture.subplots()
    for colour, (label, line) in zip(COLOURS, of_plot.items(), strict=False):
        if line:
            axes.plot(*zip(*line, strict=True), marker="o", color=colour, label=label)
    axes.set(title=plot.title, xlabel=plot.size, ylabel=plot.unit, ylim=(0, None), xlim=(0, None))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    if len(of_plot) > 1:
        axes.legend(frameon=False)
    return picture
