"""Overlap and centre error as got-10k/toolkit computes them (got10k/utils/metrics.py)."""

from __future__ import annotations

from collections.abc import Callable

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
        return _in_blocks(_overlap, found, truth)
    return _in_blocks(_bounded_overlap, found, truth, extent)


def centre_error(found: Floats, truth: Floats) -> Floats:
    """(F,) distance of the centres x + (w - 1) / 2, in pixels."""
    return _in_blocks(_centre_error, found, truth)


def normalised_error(found: Floats, truth: Floats) -> Floats:
    """(F,) the same with dx in widths and dy in heights of the true box, of 1 pixel at least."""
    return _in_blocks(_normalised_error, found, truth)


def _in_blocks(measure: Callable[..., Floats], *given: Floats) -> Floats:
    """`measure` of rows, column by column, in blocks that stay in the processor's cache."""
    values = np.empty(len(given[0]))
    for start in range(0, len(values), _BLOCK):
        rows = slice(start, start + _BLOCK)
        values[rows] = measure(*[np.ascontiguousarray(each[rows].T) for each in given])
    return values


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
