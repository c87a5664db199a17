"""Means and differences with 95 % intervals from two variance components: seeds and samples.

All seeds are scored on the same test samples. Averaging over S seeds therefore shrinks the
variance between seeds by S, and the sampling variance not at all:

    var(mean) = s² / S + e²

with s² the variance between seeds and e the sampling error. The degrees of freedom of the sum are
Satterthwaite's (Biometrics Bulletin 2, 1946). What differs between a seed's own samples is counted
in both terms, which errs on the wide side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: over the seeds.
        low, high: bounds; None where neither component is known.
        seeds: number of seeds.
        knows: components that the interval covers, of `seeds` and `samples`.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    knows: tuple[str, ...]

    @property
    def note(self) -> str:
        """What the interval leaves out, empty where that is nothing."""
        if self.knows == ("seeds", "samples"):
            return ""
        if self.knows == ("samples",):
            return "one seed: only the sampling error is known"
        if self.knows == ("seeds",):
            return "only the spread over seeds is known"
        return "one seed and no sampling error: nothing is known of its spread"

    def excludes(self, value: float) -> bool:
        """Whether the value lies outside of the interval."""
        if self.low is None or self.high is None:
            return False
        return value < self.low or value > self.high


def interval(
    values: Sequence[float], errors: Sequence[float | None], samples: Sequence[int]
) -> Interval:
    """The mean of one figure a seed, with its 95 % interval.

    Args:
        values: (S,) one figure a seed.
        errors: (S,) standard error of each over the test samples, None where none is defined.
        samples: (S,) number of test samples behind each.

    Raises:
        ValueError: no values, or lists of different length.
    """
    count = len(values)
    if not count or len(errors) != count or len(samples) != count:
        raise ValueError(f"needs as many errors and samples as values, at least one; got {count}")
    mean = fsum(values) / count
    components: dict[str, tuple[float, float]] = {}
    if count > 1:
        spread = fsum((value - mean) ** 2 for value in values) / (count - 1)
        components["seeds"] = (spread / count, count - 1)
    known = [error for error in errors if error is not None]
    if len(known) == count and min(samples) > 1:
        components["samples"] = (fsum(e * e for e in known) / count, min(samples) - 1)
    if not components:
        return Interval(mean, None, None, count, ())
    half = _half_width(list(components.values()))
    return Interval(mean, mean - half, mean + half, count, tuple(components))


def _half_width(components: list[tuple[float, float]]) -> float:
    """Half the width of the interval from (variance, degrees of freedom) of each component."""
    from scipy.special import stdtrit

    variance = fsum(part for part, _ in components)
    if variance == 0:
        return 0.0
    freedom = variance**2 / fsum(part**2 / df for part, df in components)
    return float(stdtrit(freedom, 0.5 + LEVEL / 2)) * sqrt(variance)
