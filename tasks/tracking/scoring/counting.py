"""How many frames of each sequence pass each threshold."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Sign = Literal[">", ">=", "<="]

_NEAR = 1e-6


def passing(values: Floats, sign: Sign, thresholds: Floats, owner: Ints, sequences: int) -> Ints:
    """(S,K) how many of the values of each sequence pass each threshold, exactly: as if each were
    compared with each. NaN passes none.

    Args:
        values: (F,).
        sign: `>`: a value passes that is larger than the threshold.
        thresholds: (K,) in equal steps from 0, but for rounding.
        owner: (F,) number of the sequence.
        sequences: S.
    """
    steps = len(thresholds)
    rank = _rank(values, sign, thresholds)
    cells = np.bincount(owner * (steps + 1) + rank, minlength=sequences * (steps + 1))
    counts = cells.reshape(sequences, steps + 1)
    if sign == "<=":
        # The threshold of this rank is the first that lets a value pass.
        return np.cumsum(counts, axis=1)[:, :steps]
    return np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _rank(values: Floats, sign: Sign, thresholds: Floats) -> Ints:
    """(F,) how many thresholds are smaller, or for `>=` not larger; K of NaN for `<=`, else 0."""
    steps = len(thresholds)
    place = values * ((steps - 1) / thresholds[-1])
    # Beyond the ends half a step is far enough. Of a number and NaN fmin and fmax take the number.
    if sign == "<=":
        np.fmax(np.fmin(place, steps - 0.5, out=place), -0.5, out=place)
    else:
        np.fmin(np.fmax(place, -0.5, out=place), steps - 0.5, out=place)
    up = np.ceil(place)
    rank: Ints = up.astype(np.int64)
    # Close to a threshold the last bit decides.
    up -= place
    up -= 0.5
    close = np.flatnonzero(np.abs(up, out=up) > 0.5 - _NEAR)
    rank[close] = np.searchsorted(thresholds, values[close], "right" if sign == ">=" else "left")
    return rank
