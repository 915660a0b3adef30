# SPDX-License-Identifier: MIT
"""Draws charts without a browser: small multiples over the days of a week or the months of a year.

Colours are Okabe and Ito's, which the colour-blind tell apart; marks, line styles and hatches say the same in grey.
Source: M. Okabe, K. Ito, "Color Universal Design", 2008 (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from processing_time.reports.document import Picture
from processing_time.reports.language import Language

WIDE, NARROW = 9.6, 4.1
"""Inches; the page shows an inch as 96 CSS pixels."""
ROW = 2.5
PNG_DPI = 160
NEAR = 0.09
"""Labels closer than this share of the axis are moved apart."""

_LIGHT = {"ink": "#1b1f24", "faint": "#6b7280", "grid": "#d9dde3", "paper": "#ffffff"}
_DARK = {"ink": "#e6e8eb", "faint": "#9aa2ad", "grid": "#3a414b", "paper": "#161a20"}
_SERIES = {
    "light": (("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", ":")),
    "dark": (("#56B4E9", "o", "-"), ("#E69F00", "s", "--"), ("#00B98A", "^", ":")),
}
_DASHES = ((5, 2), (1, 2), (6, 2, 1, 2))
"""Of the bounds, in the order in which a panel names them."""
_HATCHES = ("", "////", "....")

Scheme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Series:
    """Values along the axis of time; None where nothing was measured."""

    label: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A level that the values are held against, such as a target."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the small charts.

    :param kind: ``line``, or ``bars``: the series stacked, from 0.
    :param top: the axis never ends above this, such as 100 for a rate in per cent.
    """

    title: str
    unit: str
    series: tuple[Series, ...]
    bounds: tuple[Bound, ...] = ()
    kind: Literal["line", "bars"] = "line"
    top: float | None = None


def draw(title: str, alt: str, labels: Sequence[str], panels: Sequence[Panel], language: Language) -> Picture:
    """Draw panels that share an axis of time, in every form that page and Slack need.

    :param alt: what the chart shows, in words.
    :param labels: what the places on the axis of time are called.
    """
    figures = {
        f"{name}_{scheme}": _figure(labels, panels, language, width, columns, scheme)
        for name, width, columns in (("wide", WIDE, 2), ("narrow", NARROW, 1))
        for scheme in ("light", "dark")
    }
    forms = {name: _svg(figure) for name, figure in figures.items()}
    return Picture(title, alt, **forms, png=_png(figures["wide_light"]))


def _figure(
    labels: Sequence[str],
    panels: Sequence[Panel],
    language: Language,
    width: float,
    columns: int,
    scheme: str,
) -> Figure:
    colours = _LIGHT if scheme == "light" else _DARK
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    style: dict[Any, Any] = {
        "font.size": 9,
        "text.color": colours["ink"],
        "axes.labelcolor": colours["faint"],
        "axes.edgecolor": colours["grid"],
        "axes.facecolor": "none",
        "xtick.color": colours["faint"],
        "ytick.color": colours["faint"],
        "hatch.color": colours["paper"],
        "hatch.linewidth": 0.8,
    }
    with mpl.rc_context(style):
        figure = Figure(
            figsize=(width, ROW * rows),
            layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12),
            facecolor=colours["paper"],
        )
        grid = figure.subplots(rows, columns, squeeze=False)
        places = list(grid.flat)
        for axes, panel in zip(places, panels, strict=False):
            _panel(axes, panel, labels, language, scheme, colours)
        for axes in places[len(panels) :]:
            axes.remove()
    return figure


def _panel(
    axes: Axes,
    panel: Panel,
    labels: Sequence[str],
    language: Language,
    scheme: str,
    colours: dict[str, str],
) -> None:
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold", pad=22 if _keyed(panel) else 8)
    axes.set_ylabel(language.unit(panel.unit))
    axes.grid(axis="y", color=colours["grid"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)
    places = range(len(labels))
    (_bars if panel.kind == "bars" else _lines)(axes, panel, places, scheme, colours)
    low, high = _limits(panel)
    axes.set_ylim(low, high)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    # Twelve names beside each other would run into one another; the newest has one.
    step = 1 if len(labels) <= 7 else 2
    first = (len(labels) - 1) % step
    axes.set_xticks(places[first::step], labels[first::step])
    digits = 0 if panel.kind == "bars" or high - low > 4 else 1
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=not digits))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: language.number(value, digits)))
    _bounds(axes, panel, low, high, colours)
    if _keyed(panel):
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 0.99),
            ncols=len(panel.series),
            frameon=False,
            fontsize=8,
            handlelength=1.6,
            borderaxespad=0.2,
            columnspacing=1.2,
        )


def _keyed(panel: Panel) -> bool:
    return len(panel.series) > 1


def _bars(axes: Axes, panel: Panel, places: Sequence[int], scheme: str, colours: dict[str, str]) -> None:
    floor = [0.0] * len(places)
    for number, series in enumerate(panel.series):
        values = [value or 0.0 for value in series.values]
        colour, _, _ = _SERIES[scheme][number]
        axes.bar(
            places,
            values,
            bottom=floor,
            width=0.62,
            color=colour,
            hatch=_HATCHES[number],
            edgecolor=colours["paper"],
            linewidth=0.6,
            label=series.label,
        )
        floor = [a + b for a, b in zip(floor, values, strict=True)]


def _lines(axes: Axes, panel: Panel, places: Sequence[int], scheme: str, colours: dict[str, str]) -> None:
    for number, series in enumerate(panel.series):
        colour, mark, line = _SERIES[scheme][number]
        axes.plot(
            places,
            [float("nan") if value is None else value for value in series.values],
            color=colour,
            marker=mark,
            linestyle=line,
            linewidth=1.8,
            markersize=5,
            markeredgecolor=colours["paper"],
            markeredgewidth=0.7,
            label=series.label,
            clip_on=False,
            zorder=3,
        )


def _bounds(axes: Axes, panel: Panel, low: float, high: float, colours: dict[str, str]) -> None:
    """The levels as thin lines, named at their right end."""
    dashes = dict(zip(panel.bounds, _DASHES, strict=False))
    names: list[float] = []
    for bound in sorted(panel.bounds, key=lambda b: b.value):
        axes.axhline(bound.value, color=colours["faint"], linewidth=1, dashes=dashes[bound], zorder=2)
        at = (bound.value - low) / (high - low)
        at = max(at, names[-1] + NEAR) if names else at
        names.append(at)
        axes.annotate(
            bound.label,
            xy=(1.01, at),
            xycoords="axes fraction",
            fontsize=8,
            color=colours["faint"],
            va="center",
            annotation_clip=False,
        )


def _limits(panel: Panel) -> tuple[float, float]:
    """Where the axis begins and ends: bars at 0, lines with some air, no rate above 100.

    A line without a bound to be held against begins at 0 too: it would make much of little.
    """
    if panel.kind == "bars":
        sums = [
            sum(value or 0 for value in column)
            for column in zip(*(s.values for s in panel.series), strict=True)
        ]
        return 0.0, max([*sums, *(b.value for b in panel.bounds), 1.0]) * 1.08
    found = [v for series in panel.series for v in series.values if v is not None]
    found += [bound.value for bound in panel.bounds]
    low, high = min(found, default=0.0), max(found, default=1.0)
    if not panel.bounds:
        low = min(low, 0.0)
    air = max((high - low) * 0.15, abs(high) * 0.005, 0.1)
    top = high + air if panel.top is None else min(panel.top, high + air)
    return (max(0.0, low - air) if low >= 0 else low - air), top


def _svg(figure: Figure) -> str:
    # The salt and the missing date make equal charts equal files.
    with mpl.rc_context({"svg.hashsalt": "processing-time", "svg.fonttype": "path"}):
        return _saved(figure, format="svg", metadata={"Date": None}).decode()


def _png(figure: Figure) -> bytes:
    return _saved(figure, format="png", dpi=PNG_DPI, metadata={"Software": None})


def _saved(figure: Figure, **how: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, facecolor=figure.get_facecolor(), **how)
    return buffer.getvalue()
