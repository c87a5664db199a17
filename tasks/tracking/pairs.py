"""Which two frames make a training pair: a function of a generator alone.

A set is drawn by its weight, one of its sequences uniformly, the template uniformly among the
sequence's usable frames, the search frame uniformly among those at most so many frames away. A
frame is its own partner only where it has no other, as a static image: there the jitter of the
search area makes the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.contract import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence as Listed

    from numpy.typing import NDArray

    from tasks.tracking.sequences import Sequence, Source

_TOGETHER = 4096
"""Sequences whose frames are looked at together: a call a sequence would take long for the million
objects of COCO."""


class Pair(NamedTuple):
    """Two frames of one target.

    Attributes:
        pool: number of the set.
        sequence: number in its source.
        template: number of the frame.
        search: likewise.
    """

    pool: int
    sequence: int
    template: int
    search: int


class Pool:
    """The sequences of a set that have a usable frame.

    Usable is a frame whose box is known, has sides above 0, and does not end left of or above the
    image, while nothing says that the target is absent, wholly covered or not visible. Whether it
    ends beyond the other two edges only the image itself tells.

    Attributes:
        source: all of the set.
        weight: how often it is drawn from, as a share of the sum.
        rows: (N,) numbers in the source.
        frames: usable frames, one sequence after the other.
        starts: (N+1,) where each begins among them.
        without: sequences that have none.
        total: frames of all sequences that were looked at.
    """

    def __init__(self, source: Source, weight: float = 1.0, limit: int | None = None) -> None:
        self.source, self.weight = source, weight
        count = len(source.sequences) if limit is None else min(limit, len(source.sequences))
        numbers, frames, self.total = [], [], 0
        for first in range(0, count, _TOGETHER):
            part = [source.sequences[k] for k in range(first, min(first + _TOGETHER, count))]
            seen, lengths = usable(part), np.array([len(each.boxes) for each in part])
            begins = np.concatenate(([0], np.cumsum(lengths)))
            places = np.flatnonzero(seen)
            frames.append((places - np.repeat(begins[:-1], lengths)[places]).astype(np.int32))
            numbers.append(np.diff(np.concatenate(([0], np.cumsum(seen)))[begins]))
            self.total += int(begins[-1])
        found = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
        self.rows = np.flatnonzero(found)
        self.without = count - len(self.rows)
        self.frames = np.concatenate(frames) if frames else np.zeros(0, np.int32)
        self.starts = np.concatenate(([0], np.cumsum(found[self.rows])))

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, kept: NDArray[np.bool_]) -> Pool:
        """Only some of its sequences, (N,)."""
        other = object.__new__(Pool)
        other.source, other.weight = self.source, self.weight
        numbers = np.diff(self.starts)
        other.rows, other.frames = self.rows[kept], self.frames[np.repeat(kept, numbers)]
        other.starts = np.concatenate(([0], np.cumsum(numbers[kept])))
        other.without = 0
        other.total = sum(len(self.source.sequences[row].boxes) for row in other.rows.tolist())
        return other

    def usable(self, row: int) -> NDArray[np.int32]:
        """Numbers of the usable frames of the sequence `rows[row]`, ascending."""
        return self.frames[self.starts[row] : self.starts[row + 1]]


class Pairs:
    """Pairs from several sets.

    Attributes:
        pools: the sets.
        max_gap: frames between template and search frame at most.

    Raises:
        DataError: a set has no sequence with a usable frame.
    """

    def __init__(self, pools: tuple[Pool, ...], max_gap: int) -> None:
        for pool in pools:
            if not len(pool):
                raise DataError(
                    f"`{pool.source.name}` has no sequence with a usable box to draw pairs from"
                )
        self.pools, self.max_gap = pools, max_gap
        self._bounds = np.cumsum([pool.weight for pool in pools])

    def draw(self, rng: np.random.Generator) -> Pair:
        """Any pair."""
        number = int(np.searchsorted(self._bounds[:-1], rng.random() * self._bounds[-1], "right"))
        return self.within(number, int(rng.integers(len(self.pools[number]))), rng)

    def within(self, pool: int, row: int, rng: np.random.Generator) -> Pair:
        """A pair of a pool's sequence `rows[row]`."""
        frames = self.pools[pool].usable(row)
        place = int(rng.integers(len(frames)))
        template = int(frames[place])
        first, end = np.searchsorted(frames, [template - self.max_gap, template + self.max_gap + 1])
        search = place
        if end - first > 1:
            other = int(rng.integers(first, end - 1))
            search = other + (other >= place)
        return Pair(pool, int(self.pools[pool].rows[row]), template, int(frames[search]))


def usable(sequences: Listed[Sequence]) -> NDArray[np.bool_]:
    """Which frames can be part of a pair, one sequence after the other; see `Pool`."""
    boxes = np.concatenate([each.boxes for each in sequences])
    corner, sides = boxes[:, :2], boxes[:, 2:]
    found: NDArray[np.bool_] = np.isfinite(boxes).all(1) & (sides > 0).all(1)
    found &= (corner + sides > 0).all(1)
    start = 0
    for each in sequences:
        here = found[start : start + len(each.boxes)]
        if each.absent is not None:
            here &= ~each.absent
        if each.cover is not None:
            here &= each.cover > 0
        if each.visible is not None:
            here &= each.visible
        start += len(each.boxes)
    return found
