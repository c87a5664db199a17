"""Overlap and centre error as got-10k/toolkit computes them (got10k/utils/metrics.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
_BLOCK = 4096


def overlap(found: Floats, truth: Floats, extent: Floats | None = None) -> Floats:
    """(F,) IoU in [0,1], NaN where a number is: inter / (union + 2.2e-16).

    Two empty boxes have 0, as have boxes with a negative side.

    Args:
        found, truth: (F,4) x, y, width, height.
        extent: (F,2) W, H of the images that boxes are brought into first: x and y into [0, W] and
            [0, H], then width and height to what is left. A box that sticks out at the left or top
            is shifted by that, not cut.
    """
    if extent is None:
        return _in_blocks((_overlap,), found, truth)[0]
    return _in_blocks((_bounded_overlap,), found, truth, extent)[0]


def centre_error(found: Floats, truth: Floats) -> Floats:
    """(F,) distance of the centres x + (w - 1) / 2, in pixels."""
    return _in_blocks((_centre_error,), found, truth)[0]


def normalised_error(found: Floats, truth: Floats) -> Floats:
    """(F,) the same with dx in widths and dy in heights of the true box, of 1 pixel at least."""
    return _in_blocks((_normalised_error,), found, truth)[0]


def overlap_and_error(found: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """`overlap` and `centre_error` at once."""
    overlaps, errors = _in_blocks((_overlap, _centre_error), found, truth)
    return overlaps, errors


def _in_blocks(measures: Sequence[Callable[..., Floats]], *given: Floats) -> list[Floats]:
    """(F,) each measure of rows, column by column, in blocks that stay in the processor's
    cache."""
    values = np.empty((len(measures), len(given[0])))
    for start in range(0, values.shape[1], _BLOCK):
        rows = slice(start, start + _BLOCK)
        columns = [np.array(each[rows].T, order="C") for each in given]
        for number, measure in enumerate(measures):
            values[number, rows] = measure(*columns)
    return list(values)


def _overlap(found: Floats, truth: Floats) -> Floats:
    x, y, w, h = found
    u, v, s, t = truth
    inter = _common(x, w, u, s)
    inter *= _common(y, h, v, t)
    union = w * h
    union += s * t
    union -= inter
    union += _EPS
    inter /= union
    return np.minimum(np.maximum(inter, 0, out=inter), 1, out=inter)


def _common(x: Floats, width: Floats, u: Floats, size: Floats) -> Floats:
    """(F,) length of what two intervals share."""
    shared = np.minimum(x + width, u + size)
    shared -= np.maximum(x, u)
    return np.maximum(shared, 0, out=shared)


def _bounded_overlap(found: Floats, truth: Floats, extent: Floats) -> Floats:
    for boxes in (found, truth):
        corner, size = boxes[:2], boxes[2:]
        np.minimum(np.maximum(corner, 0, out=corner), extent, out=corner)
        np.minimum(np.maximum(size, 0, out=size), extent - corner, out=size)
    return _overlap(found, truth)


def _centre_error(found: Floats, truth: Floats) -> Floats:
    return _length(_shift(found, truth))


def _normalised_error(found: Floats, truth: Floats) -> Floats:
    return _length(_shift(found, truth) / np.maximum(truth[2:], 1))


def _shift(found: Floats, truth: Floats) -> Floats:
    """(2,F) from the true centre to the other."""
    return found[:2] + (found[2:] - 1) / 2 - (truth[:2] + (truth[2:] - 1) / 2)


def _length(shift: Floats) -> Floats:
    across, down = np.square(shift, out=shift)
    distance: Floats = np.sqrt(across + down)
    return distance
