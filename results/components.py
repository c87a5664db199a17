"""Variance components, and the t quantile that their sum is held against.

Satterthwaite's rule gives a sum of components one number of degrees of freedom. With three seeds it
is too narrow: down to 92 % for 95 % (docs/statistics.md), since a variance that came out too small
also counts for too little in the degrees of freedom. The quantile here is Cochran's (Biometrics 20,
1964; Snedecor and Cochran, Statistical Methods, 4.14): that of each component at its own degrees of
freedom, weighted by its share of the variance. It is right where one component is all, and on the
wide side between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum, log, sqrt

LEVEL = 0.95
SMALLEST = 1e-300
"""Among p values; below it one component's may be 0 where the sum's is not."""


@dataclass(frozen=True)
class Part:
    """What one source of error adds to the variance of a mean, in the figure's unit squared, and
    the degrees of freedom that this is known with."""

    variance: float
    freedom: float


def half_width(parts: Sequence[Part], level: float = LEVEL) -> float:
    """Half the width of the interval of a mean, from at least one component."""
    total = fsum(part.variance for part in parts)
    return _quantile(parts, 1 - level) * sqrt(total) if total else 0.0


def p_value(parts: Sequence[Part], distance: float) -> float:
    """The two-sided level at which the interval of a mean ends at this distance from it: below
    0.05 exactly where the 95 % interval excludes that value."""
    from scipy.special import stdtr

    total = fsum(part.variance for part in parts)
    if not total:
        return 0.0 if distance else 1.0
    t = abs(distance) / sqrt(total)
    single = [2 * float(stdtr(part.freedom, -t)) for part in parts if part.variance]
    # The quantile is a mean of the components' own, so its level lies between theirs.
    low, high = max(min(single), SMALLEST), max(single)
    while high > low * (1 + 1e-12):
        middle = exp((log(low) + log(high)) / 2)
        if not low < middle < high:
            break
        if _quantile(parts, middle) > t:
            low = middle
        else:
            high = middle
    return min(1.0, high)


def _quantile(parts: Sequence[Part], level: float) -> float:
    """The distance in standard errors that is exceeded, on both sides together, at this level."""
    from scipy.special import stdtrit

    total = fsum(part.variance for part in parts)
    # The lower tail, which keeps its digits where the level is tiny.
    return -fsum(p.variance / total * float(stdtrit(p.freedom, level / 2)) for p in parts)
