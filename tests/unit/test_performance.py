# SPDX-License-Identifier: MIT
"""The report on measurements, and that docs/performance.md shows what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots, report
from benchmarks.figures import Figure, Target
from benchmarks.record import as_json, figures

PROJECT = Path(__file__).resolve().parents[2]


def record(*given: Figure, size: str = "full", missing: str = "") -> dict[str, Any]:
    return {
        "size": size,
        "machine": {"cores": "2"},
        "parts": {
            "cache": {
                "measured": "2026-11-23 08:00 UTC",
                "seconds": 3,
                "figures": [as_json(figure) for figure in given],
                "missing": missing,
                "absent": ["mtail is not installed"],
            }
        },
    }


def figure(value: float, target: Target | None = None, *, at_least: bool = False, **more: Any) -> Figure:
    return Figure(
        "cache", more.pop("key", "key"), "a | b", value, "×", target=target, at_least=at_least, **more
    )


FEW, MANY = Target(1.15, "at most"), Target(4, "at least")


@pytest.mark.parametrize(
    ("measured", "size", "said"),
    [
        (figure(1.15, FEW), "full", "met"),
        (figure(1.16, FEW), "full", "missed"),
        (figure(4, MANY), "full", "met"),
        (figure(3.99, MANY), "full", "missed"),
        (figure(9, MANY, at_least=True), "full", "met"),
        (figure(1.0, FEW, at_least=True), "full", "missed"),
        (figure(1.16, FEW), "small", "(at full size)"),
        (figure(1.16), "full", ""),
    ],
)
def test_a_target_is_met_missed_or_not_asked(measured: Figure, size: str, said: str) -> None:
    assert report.verdict(measured, size) == said


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (0.01234, "0.0123"), (1.0, "1.00"), (12.34, "12.3"), (99.96, "100"), (1234567.8, "1,234,568")],
)
def test_three_digits_that_count(amount: float, text: str) -> None:
    assert report.number(amount) == text


def test_a_record_survives_json() -> None:
    given = [figure(1.2, FEW, runs=(1.0, 1.2, 1.4)), figure(3.0, at_least=True, note="cut off")]
    assert figures(json.loads(json.dumps(record(*given))), "cache") == given


def test_the_page_s_blocks_are_written_anew_and_the_rest_stays() -> None:
    page = "# Title\n<!-- measured: summary -->\nold\n<!-- end -->\nprose\n<!-- measured: log -->\n<!-- end -->\n"
    new = report.refreshed(page, record(figure(1.2, FEW)))
    assert new == (
        "# Title\n<!-- measured: summary -->\n\n"
        "| what | target | measured | |\n| --- | ---: | ---: | --- |\n"
        "| database was not measured | | | |\n| log was not measured | | | |\n".replace(
            "| | | |", "|  |  |  |"
        )
        + "| a \\| b | at most 1.15 × | 1.20 × | **missed** |\n"
        "| mtail is not installed |  |  |  |\n"
        "| reports was not measured |  |  |  |\n"
        "| airflow was not measured |  |  |  |\n"
        "| targets was not measured |  |  |  |\n"
        "| page was not measured |  |  |  |\n"
        "\n<!-- end -->\nprose\n<!-- measured: log -->\n\n"
        "| what | measured | note |\n| --- | ---: | --- |\n| log was not measured |  |  |\n"
        "\n<!-- end -->\n"
    )
    assert report.refreshed(new, record(figure(1.2, FEW))) == new


def test_a_part_that_could_not_run_says_why_beside_the_others() -> None:
    columns = report.table(record(missing="rg is not installed")).columns
    said = [str(cell) for cell in columns[0].cells]
    assert "cache was not measured: rg is not installed" in said
    assert "mtail is not installed" in said


def test_points_are_the_figures_whose_keys_end_with_a_size() -> None:
    given = [figure(v, key=k) for k, v in {"rows_3000": 9.0, "rows_1000": 8.0, "rows_growth": 1.0}.items()]
    assert plots.points(record(*given), "cache", "rows_") == [(1000, 8.0), (3000, 9.0)]


def test_a_part_with_sizes_has_a_picture_that_is_the_same_for_the_same_record(tmp_path: Path) -> None:
    sizes = [figure(8.0, key="rows_read_1000"), figure(9.0, key="rows_read_3000")]
    of_database = {**record(), "parts": {"database": record(*sizes)["parts"]["cache"]}}
    page = report.refreshed("<!-- measured: database -->\n<!-- end -->", of_database)
    assert "(pictures/performance-rows.svg)" in page
    assert "performance-check" not in page
    (drawn,) = plots.draw(of_database, tmp_path)
    first = drawn.read_bytes()
    plots.draw(of_database, tmp_path)
    assert drawn.read_bytes() == first
    assert drawn.name == "performance-rows.svg"


def test_the_documentation_shows_what_was_measured(tmp_path: Path) -> None:
    committed = json.loads(report.COMMITTED.read_text(encoding="utf-8"))
    page = report.PAGE.read_text(encoding="utf-8")
    assert committed["size"] == "full"
    assert report.refreshed(page, committed) == page, "run: make bench-docs"
    for drawn in plots.draw(committed, tmp_path):
        shown = PROJECT / "docs" / "pictures" / drawn.name
        assert shown.read_bytes() == drawn.read_bytes(), "run: make bench-docs"
