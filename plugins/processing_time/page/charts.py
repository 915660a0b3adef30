# SPDX-License-Identifier: MIT
"""Draws lines as SVG that takes its colours from the page, so that one drawing serves light and dark.

matplotlib draws, as for the reports. It keeps its style in global variables, hence the lock; equal lines are drawn once.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from processing_time.page.hours import Hours
from processing_time.page.lines import Line

WIDTH, HEIGHT = 3.6, 1.35
"""Inches, of 72 points each."""
MARKED = 13
"""A line of so few points shows them."""
STRETCH = 3
"""A bound that would make the axis longer than so many times is left to the text."""
KEPT = 400
"""Drawings that are kept, of a few kilobytes each."""

# matplotlib wants colours; these are found again in its output and become variables of the page's style sheet.
_INK, _FAINT, _GRID, _LINE, _INCIDENT = "#010101", "#010102", "#010103", "#010104", "#010105"
_SERIES = (("#010104", "o", "-"), ("#010106", "s", "--"), ("#010107", "^", ":"))
_VARIABLES = {
    _INK: "--ink",
    _FAINT: "--faint",
    _GRID: "--line",
    _LINE: "--series-1",
    _INCIDENT: "--bad",
    "#010106": "--series-2",
    "#010107": "--series-3",
}
_DASHES = {"target": (5, 2), "alert": (1, 2), "critical": (6, 2, 1, 2)}
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "text.color": _INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "page",
}
_LOCK = threading.Lock()


@lru_cache(maxsize=KEPT)
def line(of: Line) -> Markup:
    """A line with its bounds; incidents are bands with a triangle above them, failed measurements crosses below."""

    def draw(axes: Axes) -> None:
        low, high = _limits(of)
        axes.set_xlim(0, of.span)
        axes.set_ylim(low, high)
        _axis(axes, of.ticks)
        for begin, end in of.incidents:
            axes.axvspan(begin, end, color=_INCIDENT, alpha=0.25, linewidth=0)
        _marks(axes, [begin for begin, _ in of.incidents], high, "v", _INCIDENT)
        _marks(axes, of.unmeasured, low, "x", _FAINT)
        for run in of.runs:
            places, values = zip(*run, strict=True)
            mark = "o" if len(of.runs) > 1 or len(run) <= MARKED else ""
            _draw(axes, places, values, color=_LINE, linewidth=1.4, marker=mark, markersize=2.2)
        _bounds(axes, of, low, high)

    return _svg(draw, of.alt)


@lru_cache(maxsize=KEPT)
def hourly(of: Hours) -> Markup:
    """The phases of a day by hour, a line for each type, with marks of its own."""

    def draw(axes: Axes) -> None:
        for number, (name, counts) in enumerate(of.counts):
            colour, mark, dashes = _SERIES[number % len(_SERIES)]
            axes.plot(
                counts, color=colour, marker=mark, markersize=3.5, linestyle=dashes, linewidth=1.4, label=name
            )
        axes.set_xlim(-0.3, len(of.labels) - 0.7)
        axes.set_ylim(0, max([count for _, counts in of.counts for count in counts] + [1]) * 1.1)
        ends = [(place, label.partition("–")[2]) for place, label in enumerate(of.labels)]
        # More than eight would run into one another; the newest has a name.
        _axis(axes, ends if len(ends) <= 8 else ends[(len(ends) - 1) % 2 :: 2])
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8, borderaxespad=0.2
        )

    return _svg(draw, of.alt, right=0.98, top=0.84)


def _axis(axes: Axes, ticks: Sequence[tuple[float, str]]) -> None:
    """Levels and labels as plain lines and texts: matplotlib's own axes take twice the time of all the rest."""
    low, high = axes.get_ylim()
    across, down = axes.get_yaxis_transform(), axes.get_xaxis_transform()
    steps = MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(low, high)
    levels = [level for level in steps if low <= level <= high]
    axes.hlines(levels, 0, 1, transform=across, color=_GRID, linewidth=0.6)
    for level in levels:
        axes.text(-0.02, level, f"{level:g}", transform=across, ha="right", va="center", color=_FAINT)
    for place, text in ticks:
        axes.text(place, -0.05, text, transform=down, ha="center", va="top", color=_FAINT)


def _bounds(axes: Axes, of: Line, low: float, high: float) -> None:
    taken: list[float] = []
    for name, value in sorted(of.bounds, key=lambda bound: bound[1]):
        if not low <= value <= high:
            continue
        # Where the target is the alert's bound too, there is room for one name only.
        name = name.rpartition(", ")[2]
        dashes = (0, _DASHES[name])
        _draw(axes, [0, of.span], [value, value], color=_FAINT, linewidth=0.8, linestyle=dashes)
        at = (value - low) / (high - low)
        at = max(at, taken[-1] + 0.11) if taken else at
        taken.append(at)
        axes.text(1.01, at, name, transform=axes.transAxes, color=_FAINT, va="center", fontsize=7)


def _marks(axes: Axes, places: Sequence[float], level: float, mark: str, colour: str) -> None:
    if places:
        levels = [level] * len(places)
        _draw(axes, places, levels, linestyle="", marker=mark, markersize=4, color=colour, clip_on=False)


def _draw(axes: Axes, places: Sequence[float], values: Sequence[float], **how: Any) -> None:
    """What ``axes.plot`` does, without measuring for limits that are set already."""
    axes.add_artist(Line2D(places, values, **how))


def _limits(of: Line) -> tuple[float, float]:
    """Where the axis begins and ends: at the values and the target, and at other bounds as long as the values stay legible."""
    found = [value for run in of.runs for _, value in run]
    found += [value for name, value in of.bounds if name.startswith("target") or not found]
    low, high = min(found, default=0.0), max(found, default=1.0)
    for _, value in of.bounds:
        stretched = (min(low, value), max(high, value))
        if stretched[1] - stretched[0] <= STRETCH * max(high - low, 1e-9):
            low, high = stretched
    air = max((high - low) * 0.12, abs(high) * 0.005, 0.1)
    top = high + air if of.top is None else min(of.top + 0.02 * (of.top - low + air), high + air)
    return (max(0.0, low - air) if low >= 0 else low - air), top


def _svg(draw: Any, alt: str, *, right: float = 0.86, top: float = 0.94) -> Markup:
    with _LOCK, mpl.rc_context(_STYLE):
        canvas, axes = _canvas()
        for artist in [*axes.lines, *axes.collections, *axes.patches, *axes.texts]:
            artist.remove()
        axes.legend_ = None
        axes.set_position((0.1, 0.17, right - 0.1, top - 0.17))
        draw(axes)
        buffer = io.StringIO()
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas.print_svg(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
    return Markup(_adapted(buffer.getvalue(), alt))  # noqa: S704  # names and numbers are escaped by matplotlib


@cache
def _canvas() -> tuple[FigureCanvasSVG, Axes]:
    """What is drawn on, again and again: to make it anew takes almost as long as to draw a line."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    figure.patch.set_visible(False)
    return FigureCanvasSVG(figure), axes


def _adapted(svg: str, alt: str) -> str:
    """The drawing as a part of a page: its colours are variables, its text has the page's font, and it has a name."""
    svg = svg[svg.index("<svg") :]
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>\s*", "", body, flags=re.DOTALL)
    named = set(re.findall(r"#([\w-]+)[\")]", body))
    body = re.sub(r' id="([\w-]+)"', lambda m: m[0] if m[1] in named else "", body)
    # Fonts are the page's, a place is exact enough to a tenth of a point, and a path needs no blanks.
    body = re.sub(r"; font-family: [^;\"]*| transform=\"rotate\(-0 [^\"]*\"|; stroke-dashoffset: 0", "", body)
    body = re.sub(r"(-?\d+\.\d)\d+", r"\1", body)
    body = re.sub(r"\n([LMz])", r"\1", re.sub(r"([LM]) ", r"\1", body))
    body = re.sub(r" ?\n\"", '"', re.sub(r">\s+<", "><", body))
    body = re.sub(r"#01010\d", lambda m: f"var({_VARIABLES[m[0]]})", body)
    box = f'viewBox="0 0 {WIDTH * 72:g} {HEIGHT * 72:g}"'
    return f'<svg {box} role="img" aria-label="{escape(alt)}" xmlns:xlink="http://www.w3.org/1999/xlink">{body.strip()}'
