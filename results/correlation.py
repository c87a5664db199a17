"""Spearman's rank correlation of a few encoders, with an interval and an exact test.

The interval is Fisher's z with the standard error sqrt((1 + r²/2) / (n - 3)) of Bonett and Wright
(Sample size requirements for estimating Pearson, Kendall and Spearman correlations, Psychometrika
65, 2000). A bootstrap over a handful of encoders would mostly draw some of them twice, and ties
pull its correlations apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import atanh, fsum, sqrt, tanh
from statistics import NormalDist

from results.components import LEVEL

FEWEST = 5
"""Pairs that an interval needs."""
EXACT = 8
"""Up to so many pairs all permutations are counted: 40,320."""
ROUNDING = 1e-12


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Attributes:
        value: in [-1,1].
        low, high: 95 % interval; None of fewer than `FEWEST` pairs, and at -1 and 1, where the
            approximation has none.
        p: two-sided, against no association: of all permutations up to `EXACT` pairs, of Student's
            t with n - 2 degrees of freedom above.
        n: number of pairs.
    """

    value: float
    low: float | None
    high: float | None
    p: float
    n: int


def spearman(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """The rank correlation of pairs, tied values sharing their mean rank; None of fewer than three
    pairs, and where all of a side are equal.

    Raises:
        ValueError: sides of different length.
    """
    if len(x) != len(y):
        raise ValueError(f"needs pairs, got {len(x)} and {len(y)} values")
    a, b = _standard(_ranks(x)), _standard(_ranks(y))
    if len(x) < 3 or a is None or b is None:
        return None
    value = max(-1.0, min(1.0, _product(a, b)))
    return Correlation(value, *_interval(value, len(x)), _p(a, b, value), len(x))


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    # Of equal values the first and the last place, counted from 1, have the mean rank between.
    return [(2 * ordered.index(value) + ordered.count(value) + 1) / 2 for value in values]


def _standard(ranks: Sequence[float]) -> list[float] | None:
    """Centred and of length 1."""
    mean = fsum(ranks) / len(ranks) if ranks else 0.0
    length = sqrt(fsum((rank - mean) ** 2 for rank in ranks))
    return [(rank - mean) / length for rank in ranks] if length else None


def _product(a: Sequence[float], b: Sequence[float]) -> float:
    return fsum(x * y for x, y in zip(a, b, strict=True))


def _interval(value: float, n: int) -> tuple[float | None, float | None]:
    if n < FEWEST or abs(value) > 1 - ROUNDING:
        return None, None
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * sqrt((1 + value * value / 2) / (n - 3))
    return tanh(atanh(value) - half), tanh(atanh(value) + half)


def _p(a: Sequence[float], b: Sequence[float], value: float) -> float:
    n = len(a)
    if n <= EXACT:
        bound = abs(value) - ROUNDING
        found = [abs(_product(a, other)) >= bound for other in permutations(b)]
        return sum(found) / len(found)
    from scipy.special import stdtr

    if abs(value) > 1 - ROUNDING:
        return 0.0
    t = abs(value) * sqrt((n - 2) / (1 - value * value))
    return 2 * float(stdtr(n - 2, -t))
