"""The greedy assignment of COCO's evaluator (pycocotools cocoeval.py 2.0.11), for all images, area
ranges and thresholds at once.

What becomes of a detection at A area ranges and T thresholds are A x T bits of one number: bit
a T + t is that of range a and threshold t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint64]

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)

_ALL = 2 ** len(THRESHOLDS) - 1
_REACHED: Bits = np.array([2**k - 1 for k in range(len(THRESHOLDS) + 1)], np.uint64)


@dataclass(frozen=True)
class Pairs:
    """P pairs of a detection and an object of one group, by rising `detected`.

    Attributes:
        detected, objects: (P,) rows.
        value: (P,) how alike they are.
    """

    detected: Ints
    objects: Ints
    value: Floats

    def take(self, rows: Ints | Bools) -> Pairs:
        return Pairs(self.detected[rows], self.objects[rows], self.value[rows])


@dataclass(frozen=True)
class Fates:
    """What the assignment did.

    Attributes:
        found: (D,) bits at which a detection found an object that counts.
        hidden: (D,) bits at which it was assigned to one that is ignored.
        finder: (G,) the detection that was assigned to an object at the lowest threshold of the
            first range, where it counts; -1 for none.
    """

    found: Bits
    hidden: Bits
    finder: Ints

    def positives(self, beyond: Bits, ranges: int) -> tuple[Bits, Bits]:
        """(D,) bits of true and of false positives: an assigned detection follows its object,
        another one counts unless it lies `beyond` (D,) the area range."""
        wrong = ~(self.found | self.hidden | beyond)
        return self.found & ~self.hidden, wrong & everywhere(np.ones((ranges, 1), bool))


def everywhere(flags: Bools) -> Bits:
    """(N,) the bits of all thresholds in the ranges in which `flags` (A, N) is set."""
    shifts = np.array([_ALL << (a * len(THRESHOLDS)) for a in range(len(flags))], np.uint64)
    bits: Bits = np.bitwise_or.reduce(np.where(flags, shifts[:, None], np.uint64(0)), axis=0)
    return bits


def assign(pairs: Pairs, group: Ints, wanted: Bools, crowd: Bools, ids: Ints) -> Fates:
    """Assign detections to objects, the best first, each to the most alike that is left.

    An object that counts comes before one that is ignored, then the more alike, then the later. An
    object whose id is 0 can be taken, and is not found by that: as in pycocotools.

    Args:
        pairs: all that are alike enough for some threshold, or more.
        group: (D,) of each detection, rising: image and class; in a group the best comes first.
        wanted: (A, G) whether an object counts in an area range. crowd: (G,) whether it may be
            taken again and again, ids: (G,).
    """
    levels = np.searchsorted(THRESHOLDS, pairs.value, side="right")
    pairs, levels = pairs.take(levels > 0), levels[levels > 0]
    order = _preference(pairs)
    detected, objects = pairs.detected[order], pairs.objects[order]
    steps, bounds = _steps(detected, group)
    detected, objects = detected[steps], objects[steps]
    enough = _repeated(len(wanted))[levels[order][steps]]
    counts, counted = everywhere(wanted), ids != 0
    ignored = everywhere(~wanted)
    free_again = np.where(crowd, ~np.uint64(0), np.uint64(0))
    done, hidden, found = (np.zeros(len(group), np.uint64) for _ in range(3))
    taken = np.zeros(len(ids), np.uint64)
    finder = np.full(len(ids), -1)
    for turn in bounds:
        for side in (counts, ignored):
            for step in turn:
                d, g = detected[step], objects[step]
                take = enough[step] & side[g] & (~taken[g] | free_again[g]) & ~done[d]
                done[d] |= take
                taken[g] |= take
                if side is counts:
                    found[d] |= np.where(counted[g], take, np.uint64(0))
                    first = np.flatnonzero(take & np.uint64(1))
                    finder[g[first]] = d[first]
                else:
                    hidden[d] |= take
    return Fates(found, hidden, finder)


def _repeated(ranges: int) -> Bits:
    """(T + 1,) the bits of the first so many thresholds, in every range."""
    shifted = [_REACHED << np.uint64(a * len(THRESHOLDS)) for a in range(ranges)]
    bits: Bits = np.bitwise_or.reduce(np.array(shifted), axis=0)
    return bits


def _preference(pairs: Pairs) -> Ints:
    """Pairs by detection, in each the most alike first, of equals the later object."""
    order = np.arange(len(pairs.detected))
    same = pairs.detected[1:] == pairs.detected[:-1]
    several = np.zeros(len(order), bool)
    several[1:] |= same
    several[:-1] |= same
    # Few have a choice: only those are sorted.
    rows = np.flatnonzero(several)
    chosen = pairs.take(rows)
    order[rows] = rows[np.lexsort((-chosen.objects, -chosen.value, chosen.detected))]
    return order


def _steps(detected: Ints, group: Ints) -> tuple[Ints, list[list[slice]]]:
    """The order in which pairs are looked at, and its parts: for each turn, in which one detection
    of every group chooses, the parts of the first, second ... option."""
    choosing, start, count = np.unique(detected, return_index=True, return_counts=True)
    of = group[choosing]
    turn = np.arange(len(choosing)) - np.searchsorted(of, of)
    option = np.arange(len(detected)) - np.repeat(start, count)
    width = int(count.max(initial=1))
    key = np.repeat(turn, count) * width + option
    order = np.argsort(key, kind="stable")
    ends = np.cumsum(np.bincount(key)).tolist() if len(key) else []
    bounds: list[list[slice]] = []
    for number, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
        if number % width == 0:
            bounds.append([])
        if last > first:
            bounds[-1].append(slice(first, last))
    return order, bounds
