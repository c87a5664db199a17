"""Figures of sequences, of all of them, of a part, and of samples drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ratio:
    """A figure that is a quotient of sums over S sequences.

    A mean over sequences has a weight of 1 for each; where frames are pooled it is their number.

    Attributes:
        total: (S,), or (S,K) of K figures at once.
        weight: (S,).
        better: which direction is.
    """

    total: Floats
    weight: Floats
    lower: bool = False

    @property
    def pooled(self) -> bool:
        """Whether it is anything but the mean over all sequences."""
        return bool((self.weight != 1).any())

    def each(self) -> Floats:
        """(S,) or (S,K) of each sequence by itself; NaN where it has no weight."""
        with np.errstate(invalid="ignore", divide="ignore"):
            values: Floats = (self.total.T / self.weight).T
        return values

    def at(self, weights: Floats) -> Floats:
        """(D,) or (D,K) with each sequence as often as `weights` (D,S) says; NaN of no weight."""
        with np.errstate(invalid="ignore", divide="ignore"):
            values: Floats = ((weights @ self.total).T / (weights @ self.weight)).T
        return values

    def overall(self) -> Floats:
        """() or (K,) of all sequences, each once."""
        values: Floats = self.at(np.ones((1, len(self.weight))))[0]
        return values


@dataclass(frozen=True)
class Curve:
    """Shares of frames over thresholds.

    Attributes:
        thresholds: (K,) rising.
        counts: (S,K) frames that pass.
        frames: (S,) what they are divided by.
        pooled: whether the frames of all sequences are pooled, and not the shares of sequences
            averaged.
    """

    thresholds: Floats
    counts: Ints
    frames: Floats
    pooled: bool = False

    def shares(self) -> Floats:
        """(S,K) of each sequence; NaN where there are no frames."""
        return Ratio(self.counts.astype(np.float64), self.frames).each()

    @property
    def ratio(self) -> Ratio:
        """The whole curve as a figure."""
        if self.pooled:
            return Ratio(self.counts.astype(np.float64), self.frames)
        return mean(self.shares())

    def value(self, step: int) -> Ratio:
        """The figure at one of the thresholds."""
        return Ratio(self.ratio.total[:, step], self.ratio.weight)

    def height(self) -> Ratio:
        """The mean over the thresholds."""
        return Ratio(self.ratio.total.mean(axis=1), self.ratio.weight)

    def area(self) -> Ratio:
        """The area below it by trapezoids, thresholds stretched to 0 to 1."""
        total = self.ratio.total
        areas = (total[:, 1:] + total[:, :-1]).sum(axis=1) / (2 * (len(self.thresholds) - 1))
        return Ratio(areas, self.ratio.weight)


@dataclass(frozen=True)
class Scores:
    """What a convention says of S sequences.

    Attributes:
        figures: name -> figure, the primary one first.
        curves: `success`, `precision` and `normalised precision`, which of them it has.
    """

    figures: dict[str, Ratio]
    curves: dict[str, Curve]


def mean(values: Floats) -> Ratio:
    """The mean over sequences of values (S,) or (S,K)."""
    return Ratio(values, np.ones(len(values)))


def per_cent(figure: Ratio) -> Ratio:
    """A share as a percentage."""
    return Ratio(100 * figure.total, figure.weight, figure.lower)
