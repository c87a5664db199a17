"""Means and differences with 95 % intervals from two variance components: seeds and samples.

All seeds are scored on the same test samples. With S seeds, a sampling variance e² of each figure,
and c the covariance of the sampling errors of two seeds,

    var(mean) = s² / S + c

where s² is the variance between the figures: it holds what the seeds differ in, and of a seed's
sampling error the part that is its own (e² - c). What they share, c, does not shrink with seeds.
Where the metric is a mean over N samples this is the crossed random-effects decomposition

    var(mean) = (MS seeds + MS samples - MS residual) / (S N)

(Searle, Casella and McCulloch, Variance Components, chapter 4), c being
(MS samples - MS residual) / (S N). Where c is not known, e² stands for it, on the wide side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from results.components import Part, half_width, p_value


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: over the seeds.
        low, high: bounds; None where neither component is known.
        seeds: number of seeds.
        parts: the components that the interval covers, of `seeds` and `samples`.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    parts: dict[str, Part]

    @property
    def knows(self) -> tuple[str, ...]:
        """Names of the components that the interval covers."""
        return tuple(self.parts)

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

    @property
    def p(self) -> float | None:
        """Two-sided p value against a mean of 0; None where nothing is known of the spread."""
        return p_value(list(self.parts.values()), self.mean) if self.parts else None

    def excludes(self, value: float) -> bool:
        """Whether the value lies outside of the interval."""
        if self.low is None or self.high is None:
            return False
        return value < self.low or value > self.high


def interval(
    values: Sequence[float],
    errors: Sequence[float | None],
    samples: Sequence[int],
    shared: float | None = None,
) -> Interval:
    """The mean of one figure a seed, with its 95 % interval.

    Args:
        values: (S,) one figure a seed.
        errors: (S,) standard error of each over the test samples, None where none is defined.
        samples: (S,) number of test samples behind each.
        shared: mean covariance of the sampling errors of two seeds, in the figure's unit squared;
            None takes all of the errors as shared.

    Raises:
        ValueError: no values, or lists of different length.
    """
    count = len(values)
    if not count or len(errors) != count or len(samples) != count:
        raise ValueError(f"needs as many errors and samples as values, at least one; got {count}")
    mean = fsum(values) / count
    parts: dict[str, Part] = {}
    if count > 1:
        spread = fsum((value - mean) ** 2 for value in values) / (count - 1)
        parts["seeds"] = Part(spread / count, count - 1)
    known = [error for error in errors if error is not None]
    if len(known) == count and min(samples) > 1:
        if shared is None or count == 1:
            shared = fsum(error * error for error in known) / count
        parts["samples"] = Part(max(0.0, shared), min(samples) - 1)
    if not parts:
        return Interval(mean, None, None, count, {})
    half = half_width(list(parts.values()))
    return Interval(mean, mean - half, mean + half, count, parts)
