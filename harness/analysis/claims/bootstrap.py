"""Intervals of functions of means over images, by resampling the images.

Bias-corrected and accelerated (Efron, Better bootstrap confidence intervals, JASA 82, 1987; Efron
and Tibshirani, An introduction to the bootstrap, chapter 14): the smallest of several heads, or
their spread, comes out biased by noise, and a ratio is skewed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 4000
LEVEL = 0.95
CHUNK = 250
"""Resamples at once, which bounds the memory by images times this."""

Statistic = Callable[[Sequence["Floats"]], "Floats"]
"""Takes the means (R,...) of each encoder, gives (R,) values."""


def interval(
    statistic: Statistic, samples: Sequence[Floats], seed: int = 0
) -> tuple[float, float, float]:
    """The value with its 95 % interval: value, low, high; no bounds (NaN) where the statistic is
    not finite for some draw.

    Args:
        samples: (n,...) of each encoder, by image. The images are the same, one by one, and are
            drawn together.

    Raises:
        ValueError: fewer than two images, or not as many for each encoder.
    """
    counts = {len(sample) for sample in samples}
    if len(counts) != 1 or min(counts) < 2:
        raise ValueError(f"needs the same images for each, two or more; got {sorted(counts)}")
    means = [sample.mean(axis=0)[None] for sample in samples]
    value = float(statistic(means)[0])
    drawn = _drawn(statistic, samples, np.random.default_rng(seed))
    acceleration = _acceleration(statistic, samples, means)
    if not np.isfinite([acceleration, *drawn]).all():
        return value, np.nan, np.nan
    low, high = np.quantile(drawn, _levels(drawn, value, acceleration))
    return value, float(low), float(high)


def _drawn(statistic: Statistic, samples: Sequence[Floats], rng: np.random.Generator) -> Floats:
    n, found = len(samples[0]), []
    for _ in range(RESAMPLES // CHUNK):
        weights = rng.multinomial(n, np.full(n, 1 / n), CHUNK) / n
        found.append(statistic([np.tensordot(weights, sample, axes=1) for sample in samples]))
    return np.concatenate(found)


def _levels(drawn: Floats, value: float, acceleration: float) -> Floats:
    """At which quantiles of what was drawn the interval ends."""
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    edge = 0.5 / len(drawn)
    bias = ndtri(np.clip(below, edge, 1 - edge))
    z = bias + ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return np.asarray(ndtr(bias + z / (1 - acceleration * z)))


def _acceleration(
    statistic: Statistic, samples: Sequence[Floats], means: Sequence[Floats]
) -> float:
    """A sixth of the skewness, from the values without one image each."""
    n = len(samples[0])
    values = statistic([(n * m - s) / (n - 1) for s, m in zip(samples, means, strict=True)])
    influence = values.mean() - values
    second = float((influence**2).sum())
    return float((influence**3).sum()) / (6 * second**1.5) if second else 0.0
