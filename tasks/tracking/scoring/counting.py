"""How many frames of each sequence pass each threshold."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Sign = Literal[">", ">=", "<="]


def passing(values: Floats, sign: Sign, thresholds: Floats, owner: Ints, count: int) -> Ints:
    """(S,K) how many of the values of each sequence pass each threshold, exactly: as if each were
    compared with each. NaN passes none.

    Args:
        values: (F,).
        sign: `>`: a value passes that is larger than the threshold.
        thresholds: (K,) rising.
        owner: (F,) number of the sequence.
        count: S.
    """
    steps = len(thresholds)
    if sign == "<=":
        # The first threshold that is not smaller, and all after it; K, of no meaning, for NaN.
        first = np.searchsorted(thresholds, values, "left")
        return np.cumsum(_histogram(first, owner, count, steps), axis=1)[:, :steps]
    # So many thresholds are passed, the first ones.
    passed = np.searchsorted(thresholds, values, "left" if sign == ">" else "right")
    passed[np.isnan(values)] = 0
    whole = _histogram(passed, owner, count, steps)
    return np.cumsum(whole[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _histogram(rank: Ints, owner: Ints, count: int, steps: int) -> Ints:
    """(S,K+1) how often each rank of 0 to K is there."""
    cells = np.bincount(owner * (steps + 1) + rank, minlength=count * (steps + 1))
    return cells.reshape(count, steps + 1)
