# SPDX-License-Identifier: MIT
"""The Wilson lower bound against published and independently computed values, and what counts as certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from processing_time.certainty import certain, wilson_lower_bound


@pytest.mark.parametrize(
    ("failures", "total", "bound"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29
        (81, 263, 0.2553),
        (15, 148, 0.0624),
        (0, 20, 0.0),
        (1, 29, 0.0061),
        (11, 11, 0.7412),
        (0, 0, 0.0),
    ],
)
def test_wilson_lower_bound(failures: int, total: int, bound: float) -> None:
    assert wilson_lower_bound(failures, total) == pytest.approx(bound, abs=0.00005)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@examples(max_examples=200)
def test_the_bound_solves_wilsons_equation(counts: tuple[int, int]) -> None:
    failures, total = counts
    rate, bound = failures / total, wilson_lower_bound(failures, total)
    assert 0 <= bound <= rate
    # The bound is the rate from which the observed one is z standard errors away.
    assert (rate - bound) ** 2 == pytest.approx(1.96**2 * bound * (1 - bound) / total, abs=1e-9)


@pytest.mark.parametrize(
    ("failures", "total", "limit", "sure"),
    [
        (1, 11, 0.05, False),
        (2, 11, 0.05, True),  # 2 of 11: the bound is 5.1 %
        (2, 12, 0.05, False),
        (2, 11, 0.10, False),
        (3, 11, 0.10, True),
        (3, 59, 0.05, True),  # three failures past the plain threshold are enough
        (3, 60, 0.05, False),  # exactly 5 % is not past it
        (2, 20, 0.05, False),
        (0, 0, 0.05, False),
        (600, 10000, 0.05, True),
    ],
)
def test_certain(failures: int, total: int, limit: float, sure: bool) -> None:
    assert certain(failures, total, limit) is sure


@pytest.mark.parametrize(("failures", "total"), [(2, 1), (-1, 5), (1, 0)])
def test_impossible_counts_are_refused(failures: int, total: int) -> None:
    with pytest.raises(ValueError, match="not a possible count"):
        wilson_lower_bound(failures, total)
