# SPDX-License-Identifier: MIT
"""Every part of the benchmark runs, at its small size; what it measures here means nothing."""

from __future__ import annotations

import importlib
import math
import os
from pathlib import Path

import pytest

from benchmarks.figures import Bench, Size
from benchmarks.record import PARTS

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_gives_figures_that_can_be_told_apart(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(PROJECT / "plugins"), str(PROJECT))))
    said: list[str] = []
    bench = Bench(Size.SMALL, tmp_path, peers=False, limit=60, say=said.append)
    figures = importlib.import_module(f"benchmarks.{part}").measure(bench)
    assert said, "somebody waits for it"
    assert {figure.part for figure in figures} == {part}
    assert len({figure.key for figure in figures}) == len(figures)
    assert any(figure.target for figure in figures)
    assert all(math.isfinite(figure.value) for figure in figures)
    assert all(figure.unit and figure.title for figure in figures)
