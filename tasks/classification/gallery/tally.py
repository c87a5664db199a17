"""Which classes are found, and for which others they are taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from tasks.rows import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.contract import Row

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Pair:
    """A class that is taken for another one `count` times."""

    true: int
    named: int
    count: int


@dataclass(frozen=True, eq=False)
class Tally:
    """Samples with one class each, and the class that was named.

    Attributes:
        labels: (N,) the true classes.
        named: (N,) the named ones.
        scores: (N,) logarithms of the named ones' probabilities.
        classes: number of classes, those that no sample is of among them.
    """

    labels: Ints
    named: Ints
    scores: Floats
    classes: int

    @cached_property
    def sizes(self) -> Ints:
        """(C,) samples of each class."""
        return np.bincount(self.labels, minlength=self.classes)

    @cached_property
    def correct(self) -> Ints:
        """(C,) those of them that are named right."""
        return np.bincount(self.labels[self.labels == self.named], minlength=self.classes)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every confusion: the most frequent first, of those the one that takes the larger share
        of its class, then the lower numbers."""
        wrong = self.labels != self.named
        keys = self.labels[wrong] * self.classes + self.named[wrong]
        each, counts = np.unique(keys, return_counts=True)
        found = [
            Pair(int(key) // self.classes, int(key) % self.classes, int(count))
            for key, count in zip(each, counts, strict=True)
        ]
        return sorted(found, key=lambda p: (-p.count, self.sizes[p.true], p.true, p.named))

    def matrix(self) -> Ints:
        """(C,C) how often the class of a row is named the class of a column."""
        found = np.zeros((self.classes, self.classes), np.int64)
        np.add.at(found, (self.labels, self.named), 1)
        return found

    def taken_for(self, number: int) -> list[Pair]:
        """For which classes one is taken, the most frequent first."""
        return self._by_class.get(number, [])

    @cached_property
    def _by_class(self) -> dict[int, list[Pair]]:
        found: dict[int, list[Pair]] = {}
        for pair in self.pairs:
            found.setdefault(pair.true, []).append(pair)
        return found

    def ordered(self) -> list[int]:
        """The classes with samples, that with the lowest share of right ones first; of equal shares
        the one with more samples, then the lower number."""
        there = np.flatnonzero(self.sizes)
        shares = self.correct[there] / self.sizes[there]
        return [int(k) for k in there[np.lexsort((there, -self.sizes[there], shares))]]

    def surest_mistakes(self) -> list[int]:
        """Samples named wrong, the highest probability first; of equal ones the lower number."""
        wrong = np.flatnonzero(self.labels != self.named)
        return [int(k) for k in wrong[np.lexsort((wrong, -self.scores[wrong]))]]


def tally(rows: list[Row], labels: Ints, classes: int) -> Tally:
    """Count one row a sample.

    Raises:
        DataError: rows that are missing, doubled or of samples that the data set lacks.
    """
    ordered = in_order(rows, len(labels))
    named = np.array([row["classes"][0] for row in ordered], np.int64)
    scores = np.array([row["scores"][0] for row in ordered], np.float64)
    return Tally(labels, named, scores, classes)


def error(correct: int, count: int) -> float | None:
    """Standard error of a share, as the metrics have it; None for fewer than two samples."""
    share = correct / count
    return sqrt(share * (1 - share) / (count - 1)) if count > 1 else None


def interval(correct: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): unlike the standard error it is right of few samples,
    and of shares of 0 and 1, where it is not empty."""
    share, squared = correct / count, Z * Z / count
    middle = (share + squared / 2) / (1 + squared)
    half = Z / (1 + squared) * sqrt(share * (1 - share) / count + squared / (4 * count))
    # Rounding must not leave the share itself outside.
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))
