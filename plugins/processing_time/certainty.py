# SPDX-License-Identifier: MIT
"""How sure a small sample makes us: whether a failure rate is past a bound, or only looks like it.

Three failures of eleven are a finding; one of eleven may be chance. Everything here is a function of counts.
"""

from __future__ import annotations

from math import sqrt

ENOUGH_FAILURES = 3
"""So many failures past the plain threshold are believed without statistics."""


def wilson_lower_bound(failures: float, total: float, z: float = 1.96) -> float:
    """The lower end of the Wilson score interval for a failure rate.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), pp. 209–212.

    :param failures: how many failed, from 0 to ``total``.
    :param total: how many there were.
    :param z: the two-sided normal quantile; 1.96 is 95 %.
    :return: a rate between 0 and 1; 0 when there were none at all.
    :raises ValueError: when the counts cannot be counts of failures among ``total``.
    """
    if not 0 <= failures <= total:
        raise ValueError(f"{failures:g} failures of {total:g} is not a possible count")
    if total == 0:
        return 0.0
    rate = failures / total
    centre = rate + z * z / (2 * total)
    margin = z * sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    return max(0.0, (centre - margin) / (1 + z * z / total))


def certain(failures: float, total: float, limit: float) -> bool:
    """Whether a failure rate is past a limit beyond reasonable doubt.

    That is when the Wilson lower bound is above the limit, or the plain rate is and at least
    ``ENOUGH_FAILURES`` failed.

    :param limit: a rate between 0 and 1, such as 0.05 for "below 95 % succeed".
    :raises ValueError: as :func:`wilson_lower_bound`.
    """
    if wilson_lower_bound(failures, total) > limit:
        return True
    return failures >= ENOUGH_FAILURES and failures > limit * total
