"""Average precision and recall from what became of the detections (pycocotools cocoeval.py 2.0.11).

With a weight an image, the same code gives the figures of the set, of a part of its images, and of
samples drawn from it with replacement. Counts are whole numbers and quotients those of the
reference, so that figures are equal to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint64]

RECALLS: Floats = np.linspace(0.0, 1.0, 101)

_EPS = np.spacing(1)


@dataclass(frozen=True)
class Ranking:
    """D detections class by class, in each the best first, and what became of them.

    Attributes:
        image, category: (D,) `category` rising.
        rank: (D,) place among those of the same image and class.
        found, wrong: (D,) bits of A area ranges and T thresholds (`assignment`) at which a
            detection is a true or a false positive; where it is neither it does not count.
        object_image, object_category: (G,).
        wanted: (A, G) whether an object counts.
        thresholds: T. images, categories: how many there are.
    """

    image: Ints
    category: Ints
    rank: Ints
    found: Bits
    wrong: Bits
    object_image: Ints
    object_category: Ints
    wanted: Bools
    thresholds: int
    images: int
    categories: int

    def take(self, rows: Any) -> Ranking:
        """The detections at `rows`, and all objects."""
        names = ("image", "category", "rank", "found", "wrong")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def best(self, limit: int) -> Ranking:
        """The best so many detections of each image and class."""
        return self if self.rank.max(initial=-1) < limit else self.take(self.rank < limit)

    def count(self, bits: Bits) -> Ints:
        """(A, T) how many of the detections have each of the bits: `found` or `wrong`."""
        shifts = np.arange(len(self.wanted) * self.thresholds, dtype=np.uint64)
        number = [int(((bits >> shift) & np.uint64(1)).sum()) for shift in shifts]
        return np.array(number).reshape(len(self.wanted), self.thresholds)

    @property
    def shape(self) -> tuple[int, int, int]:
        """A, T, K: there are so many curves."""
        return len(self.wanted), self.thresholds, self.categories


@dataclass(frozen=True)
class Hits:
    """The E true positives of a ranking, curve by curve; the C curves are numbered by area range,
    threshold and class.

    Attributes:
        row: (E,) in the ranking. curve: (E,) rising.
        first: (C + 1,) where each curve begins among them.
    """

    ranking: Ranking
    row: Ints
    curve: Ints
    first: Ints

    def best(self, limit: int) -> Hits:
        """Those among the best so many detections of each image and class."""
        kept = self.ranking.rank[self.row] < limit
        first = _sums(kept)[self.first]
        return Hits(self.ranking, self.row[kept], self.curve[kept], first)

    def recall(self, weights: Ints) -> Floats:
        """(T, K, A) the highest recall; -1 where no object counts.

        weights: (I,) how often each image is there.
        """
        objects, total = self.objects(weights), self.total(weights)
        count = (total[self.first[1:]] - total[self.first[:-1]]).reshape(self.ranking.shape)
        share = count.transpose(1, 2, 0) / np.maximum(objects.T, 1)
        return np.where(objects.T > 0, share, -1.0)

    def objects(self, weights: Ints) -> Ints:
        """(A, K) how many objects count."""
        r = self.ranking
        each = weights[r.object_image]
        count = [np.bincount(r.object_category, each * row, r.categories) for row in r.wanted]
        return np.array(count).reshape(len(r.wanted), r.categories).astype(np.int64)

    def total(self, weights: Ints) -> Ints:
        """(E + 1,) running sum of the true positives' weights."""
        return _sums(weights[self._image])

    @cached_property
    def _image(self) -> Ints:
        return self.ranking.image[self.row]


@dataclass(frozen=True)
class Curves:
    """What precision at any weights is computed from.

    Attributes:
        counted: (L,) images of the detections that count: those that do at every threshold of a
            range once, the others once a threshold.
        seen: (2, E) how many of `counted` lie before the end of a true positive, in either part.
        start: (2, C) likewise before the begin of a curve.
    """

    hits: Hits
    counted: Ints
    seen: Ints
    start: Ints

    def precision(self, weights: Ints) -> Floats:
        """(T, 101, K, A) the highest precision at each of `RECALLS` or a higher one, 0 beyond the
        highest recall; -1 where no object counts.

        weights: (I,) how often each image is there.
        """
        hits = self.hits
        ranges, thresholds, classes = hits.ranking.shape
        objects = hits.objects(weights)
        total, seen = hits.total(weights), _sums(weights[self.counted])
        before = total[hits.first[:-1]]
        start = seen[self.start[0]] + seen[self.start[1]]
        every = seen[self.seen[0]] + seen[self.seen[1]] - start[hits.curve]
        # Precision only matters at true positives: between, it falls. One more for empty ends.
        sharp = np.append((total[1:] - before[hits.curve]) / (every + _EPS), 0.0)
        shape = (ranges, thresholds, classes, len(RECALLS))
        needed = np.broadcast_to(needed_hits(objects)[:, None], shape).reshape(-1, len(RECALLS))
        reached = needed <= (total[hits.first[1:]] - before)[:, None]
        last = len(sharp) - 1
        # The true positive that makes a count: of those without weight, a later one overwrites.
        making = np.zeros(total[-1] + 1, np.int64)
        making[total[:-1]] = np.arange(last)
        np.maximum.accumulate(making, out=making)
        place = making[np.minimum(needed + (before - 1)[:, None], total[-1])]
        place = np.where(reached, place, hits.first[1:, None])
        top = np.maximum.reduceat(sharp, place.ravel()).reshape(place.shape)
        top[~reached] = 0
        top = np.maximum.accumulate(top[:, ::-1], axis=1)[:, ::-1]
        return np.where(objects.T > 0, top.reshape(shape).transpose(1, 3, 2, 0), -1.0)


def curves(ranking: Ranking) -> Curves:
    """Prepare a ranking for any number of weights."""
    ranges, thresholds, classes = ranking.shape
    begins = np.searchsorted(ranking.category, np.arange(classes))
    hitting = np.flatnonzero(ranking.found)
    counts = ranking.found | ranking.wrong
    full = np.uint64(2**thresholds - 1)
    rows: list[Ints] = []
    counted: list[Ints] = []
    seen: list[Ints] = []
    start: list[Ints] = []
    length = 0
    for a in range(ranges):
        field = (counts >> np.uint64(a * thresholds)) & full
        always = field == full
        running = _sums(always) + length
        some = np.flatnonzero((field != 0) & ~always)
        counted.append(np.flatnonzero(always))
        length += len(counted[-1])
        for t in range(thresholds):
            mine = hitting[_bit(ranking.found[hitting], a * thresholds + t)]
            others = some[_bit(field[some], t)]
            rows.append(mine)
            counted.append(others)
            later = length + np.searchsorted(others, mine, "right")
            seen.append(np.stack((running[mine + 1], later)))
            start.append(np.stack((running[begins], length + np.searchsorted(others, begins))))
            length += len(others)
    row = np.concatenate(rows)
    sizes = [len(part) for part in rows]
    curve = np.repeat(np.arange(len(rows)) * classes, sizes) + ranking.category[row]
    first = np.searchsorted(curve, np.arange(len(rows) * classes + 1))
    return Curves(
        Hits(ranking, row, curve, first),
        ranking.image[np.concatenate(counted)],
        np.concatenate(seen, axis=1),
        np.concatenate(start, axis=1),
    )


def _bit(values: Bits, number: int) -> Bools:
    set_there: Bools = (values >> np.uint64(number)) & np.uint64(1) != 0
    return set_there


def _sums(values: Any) -> Ints:
    """Running sums with a 0 before them."""
    total = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=total[1:])
    return total


def needed_hits(objects: Ints) -> Ints:
    """(..., 101) true positives at which recall reaches each of `RECALLS`, as float64 has it."""
    count = np.maximum(objects, 1)[..., None].astype(float)
    least = np.floor(RECALLS * count)
    # The product may be one bit off: the quotient decides.
    least += least / count < RECALLS
    needed: Ints = np.maximum(least, 1).astype(np.int64)
    return needed


def mean_defined(values: Floats) -> float:
    """Mean of what is defined, -1 where nothing is."""
    defined = values[values > -1]
    return float(np.mean(defined)) if len(defined) else -1.0
