"""Overlap and centre error as got-10k/toolkit computes them (got10k/utils/metrics.py)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)


def bounded(boxes: Floats, extent: Floats) -> Floats:
    """(F,4) boxes brought into images: x and y into [0, W] and [0, H], then width and height to
    what is left. A box that sticks out at the left or top is shifted by that, not cut.

    extent: (F,2) or (2,) W, H in pixels.
    """
    corner = np.clip(boxes[:, :2], 0, extent)
    return np.concatenate((corner, np.clip(boxes[:, 2:], 0, extent - corner)), axis=1)


def overlap(found: Floats, truth: Floats) -> Floats:
    """(F,) IoU in [0,1], NaN where a number is: inter / (union + 2.2e-16).

    Two empty boxes have 0, as have boxes with a negative side.
    """
    (x, y, w, h), (u, v, s, t) = _columns(found), _columns(truth)
    wide = np.maximum(np.minimum(x + w, u + s) - np.maximum(x, u), 0)
    high = np.maximum(np.minimum(y + h, v + t) - np.maximum(y, v), 0)
    inter = wide * high
    values: Floats = np.clip(inter / (w * h + s * t - inter + _EPS), 0, 1)
    return values


def centre_error(found: Floats, truth: Floats) -> Floats:
    """(F,) distance of the centres x + (w - 1) / 2, in pixels."""
    return _length(*_shift(found, truth))


def normalised_error(found: Floats, truth: Floats) -> Floats:
    """(F,) the same with dx in widths and dy in heights of the true box, of 1 pixel at least."""
    across, down = _shift(found, truth)
    return _length(across / np.maximum(truth[:, 2], 1), down / np.maximum(truth[:, 3], 1))


def _shift(found: Floats, truth: Floats) -> tuple[Floats, Floats]:
    (x, y, w, h), (u, v, s, t) = _columns(found), _columns(truth)
    return x + (w - 1) / 2 - (u + (s - 1) / 2), y + (h - 1) / 2 - (v + (t - 1) / 2)


def _length(across: Floats, down: Floats) -> Floats:
    return np.sqrt(across * across + down * down)


def _columns(boxes: Floats) -> Floats:
    """(4,F), contiguous."""
    return np.ascontiguousarray(boxes.T)
