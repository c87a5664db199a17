"""Masks of many objects in flat arrays, and run lengths that are checked before C sees them.

A million polygons as Python's numbers take gigabytes, which every loader worker copies as it counts
references; as run lengths they take minutes. Here they stay what they were, in one piece of memory,
and become run lengths when they are asked for.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tasks.json_files import finite, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.detection.annotations import Ints, Rle

LARGEST = 2**29
"""Pixels of an image at most: what six characters of run lengths can say."""

_FIRST, _LAST = 48, 111
"""Characters of compressed run lengths: six bits each, from the digit 0 on."""
_GROUPS = 6
"""Characters of one number at most, 30 bits with a sign: pycocotools shifts in 32."""


@dataclass(frozen=True)
class Store:
    """M masks. Each has parts: its polygons as x, y, x, y ... in float64, or its run lengths.

    Attributes:
        data: the parts' bytes.
        parts: (P + 1,) where each begins in `data`.
        first: (M + 1,) each mask's first part.
        runs: (M,) whether it is run lengths.
        sizes: (M, 2) height and width.
    """

    data: bytes
    parts: Ints
    first: Ints
    runs: NDArray[np.bool_]
    sizes: Ints


class Masks(Sequence["Rle"]):
    """Some masks of a store, each in a size of its own.

    Args:
        store: of all.
        rows: (N,) which of them.
        sizes: (N, 2) height and width to which they are brought; by default as they are.
    """

    def __init__(self, store: Store, rows: Ints, sizes: Ints | None = None) -> None:
        self._store, self._rows = store, rows
        self._sizes = store.sizes[rows] if sizes is None else sizes

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: Ints) -> Masks:
        return Masks(self._store, self._rows[rows], self._sizes[rows])

    def resized(self, sizes: Ints) -> Masks:
        """The same masks in other sizes (N, 2), by the nearest pixel."""
        return Masks(self._store, self._rows, sizes)

    @overload
    def __getitem__(self, index: int) -> Rle: ...
    @overload
    def __getitem__(self, index: slice) -> Masks: ...
    def __getitem__(self, index: int | slice) -> Rle | Masks:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        found = _rle(self._store, int(self._rows[index]))
        height, width = self._sizes[index].tolist()
        return found if found["size"] == [height, width] else _resized(found, height, width)


class Builder:
    """Collects masks, one object after the other."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._parts, self._first = array("q", [0]), array("q", [0])
        self._runs, self._sizes = bytearray(), array("q")

    def polygons(self, rings: list[Any], size: tuple[int, int]) -> None:
        """Add a mask of polygons.

        Args:
            rings: lists of x, y, x, y ... in pixels.
            size: height and width of the image.

        Raises:
            ValueError: what is wrong with them; nothing is added then.
        """
        packed = [_ring(ring, size) for ring in rings]
        self._add(packed, False, size)

    def run_lengths(self, value: Any, size: tuple[int, int]) -> None:
        """Add a mask of run lengths, compressed or not: `counts` and `size` as COCO has them.

        Raises:
            ValueError: what is wrong with them; nothing is added then.
        """
        self._add([_compressed(value, size)], True, size)

    def box(self, box: Sequence[float], size: tuple[int, int]) -> None:
        """Add a filled box: x, y, width, height."""
        x, y, w, h = box
        self.polygons([[x, y, x + w, y, x + w, y + h, x, y + h]], size)

    def finish(self) -> Masks:
        store = Store(
            bytes(self._data),
            np.array(self._parts, np.int64),
            np.array(self._first, np.int64),
            np.frombuffer(bytes(self._runs), np.bool_),
            np.array(self._sizes, np.int64).reshape(-1, 2),
        )
        return Masks(store, np.arange(len(store.runs)))

    def _add(self, parts: list[bytes], runs: bool, size: tuple[int, int]) -> None:
        for part in parts:
            self._data += part
            self._parts.append(len(self._data))
        self._first.append(len(self._parts) - 1)
        self._runs.append(runs)
        self._sizes.extend(size)


def run_lengths(counts: bytes) -> Ints:
    """Decode compressed run lengths, (R,), background first.

    Each number is cut into groups of five bits, lowest first, with a sixth that says whether more
    follow, the last one's highest bit being the sign; from the fourth number on it is the
    difference to the number two before (maskApi.c of the COCO API).

    Raises:
        ValueError: bytes that are none.
    """
    groups = np.frombuffer(counts, np.uint8).astype(np.int64) - _FIRST
    if len(groups) == 0:
        raise ValueError("has empty run lengths")
    if groups.min() < 0 or groups.max() > _LAST - _FIRST:
        raise ValueError("has run lengths with a character that is none of theirs")
    ends = np.flatnonzero(groups & 32 == 0)
    if len(ends) == 0 or ends[-1] != len(groups) - 1:
        raise ValueError("has run lengths that end within a number")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _GROUPS:
        raise ValueError("has run lengths with a number of more than 30 bits")
    place = np.arange(len(groups)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((groups & 31) << (5 * place), starts)
    numbers -= np.where(groups[ends] & 16, np.int64(1) << (5 * lengths), 0)
    numbers[2::2] = np.cumsum(numbers[2::2])
    numbers[1::2] = np.cumsum(numbers[1::2])
    return numbers


def decode(found: Rle) -> NDArray[np.uint8]:
    """The pixels of a mask, (H, W) of 0 and 1."""
    height, width = found["size"]
    lengths = run_lengths(found["counts"])
    values = (np.arange(len(lengths)) % 2).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(values, lengths).reshape(width, height).T)


def _ring(ring: Any, size: tuple[int, int]) -> bytes:
    if not isinstance(ring, list):
        raise ValueError("has polygons that are no lists of numbers")
    if len(ring) < 6 or len(ring) % 2:
        raise ValueError(f"has a polygon of {len(ring)} numbers, of which 6, 8, 10 ... are needed")
    try:
        numbers = array("d", ring)
    except (TypeError, OverflowError):
        raise ValueError("has a polygon with something that is no number") from None
    if not math.isfinite(sum(numbers)):
        raise ValueError("has a polygon with NaN or infinity")
    # Beyond this the polygon is damage, and pycocotools takes memory by the length of its edges.
    for side, values in zip((size[1], size[0]), (numbers[0::2], numbers[1::2]), strict=True):
        if min(values) < -side or max(values) > 2 * side:
            raise ValueError("has a polygon that is far outside the image")
    return numbers.tobytes()


def _compressed(value: Any, size: tuple[int, int]) -> bytes:
    found, counts = value.get("size"), value.get("counts")
    height, width = size
    if found != [height, width]:
        raise ValueError(
            f"has run lengths of size {short(found)}, its image's height and width are {[*size]}"
        )
    if isinstance(counts, list):
        return _from_list(counts, height, width)
    if not isinstance(counts, str) or not counts.isascii():
        raise ValueError("has run lengths that are neither a list nor a text")
    content = counts.encode()
    runs = run_lengths(content)
    _check_runs(int(runs.min()), int(runs.sum()), height * width)
    return content


def _from_list(counts: list[Any], height: int, width: int) -> bytes:
    from pycocotools import mask

    if not all(map(whole, counts)) or not finite(counts):
        raise ValueError("has run lengths that are no whole numbers")
    _check_runs(min(counts, default=0), sum(counts), height * width)
    packed = mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    found: bytes = packed["counts"]
    return found


def _check_runs(least: int, total: int, pixels: int) -> None:
    if least < 0:
        raise ValueError("has a negative run length")
    if total != pixels:
        raise ValueError(f"has run lengths of {total} pixels in all, its image has {pixels}")


def _rle(store: Store, row: int) -> Rle:
    from pycocotools import mask

    height, width = store.sizes[row].tolist()
    ends = store.parts[store.first[row] : store.first[row + 1] + 1].tolist()
    parts = [store.data[start:end] for start, end in pairwise(ends)]
    if store.runs[row]:
        return {"size": [height, width], "counts": parts[0]}
    rings = [np.frombuffer(part, np.float64).tolist() for part in parts]
    packed = mask.frPyObjects(rings, height, width)
    one = packed[0] if len(packed) == 1 else mask.merge(packed)
    return {"size": [height, width], "counts": one["counts"]}


def _resized(found: Rle, height: int, width: int) -> Rle:
    import cv2
    from pycocotools import mask

    pixels = cv2.resize(decode(found), (width, height), interpolation=cv2.INTER_NEAREST)
    packed = mask.encode(np.asfortranarray(pixels))
    return {"size": [height, width], "counts": packed["counts"]}
