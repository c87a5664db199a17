"""Overlap and centre error as got-10k/toolkit computes them (got10k/utils/metrics.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)


def bring_inside(boxes: Floats, extent: Floats) -> None:
    """Bring boxes (F,4), x, y, width, height, into images of W, H (F,2): x and y into [0, W] and
    [0, H], then width and height to what is left. A box that sticks out at the left or top is
    shifted by that, not cut."""
    columns, limit = boxes.T, extent.T
    # Of an array and a number `clip` is faster than `maximum`.
    np.clip(columns, 0, np.inf, out=columns)
    corner, size = columns[:2], columns[2:]
    np.minimum(corner, limit, out=corner)
    np.minimum(size, limit - corner, out=size)


def overlap(found: Floats, truth: Floats) -> Floats:
    """(F,) IoU in [0,1] of boxes (F,4), x, y, width, height; NaN where a number is: inter / (union
    + 2.2e-16). Two empty boxes have 0, as have boxes with a negative side."""
    width, height = _common(found.T, truth.T)
    inter: Floats = width * height
    union = found[:, 2] * found[:, 3]
    union += truth[:, 2] * truth[:, 3]
    union -= inter
    union += _EPS
    inter /= union
    return np.clip(inter, 0, 1, out=inter)


def centre_error(found: Floats, truth: Floats) -> Floats:
    """(F,) distance of the centres x + (w - 1) / 2, in pixels."""
    return _length(_shift(found, truth))


def normalised_error(found: Floats, truth: Floats) -> Floats:
    """(F,) the same with dx in widths and dy in heights of the true box, of 1 pixel at least."""
    return _length(_shift(found, truth) / np.maximum(truth.T[2:], 1))


def _common(a: Floats, b: Floats) -> Floats:
    """(2,F) width and height of what boxes (4,F) share."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    sides -= np.maximum(a[:2], b[:2])
    return np.clip(sides, 0, np.inf, out=sides)


def _shift(found: Floats, truth: Floats) -> Floats:
    """(2,F) from the true centre to the other."""
    return _centre(found.T) - _centre(truth.T)


def _centre(columns: Floats) -> Floats:
    centre = columns[2:] - 1
    centre *= 0.5
    centre += columns[:2]
    return centre


def _length(shift: Floats) -> Floats:
    across, down = np.square(shift, out=shift)
    across += down
    distance: Floats = np.sqrt(across, out=across)
    return distance
