"""How many frames of each sequence pass each threshold."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Sign = Literal[">", ">=", "<="]


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
    rank += owner * (steps + 1)
    cells = np.bincount(rank, minlength=sequences * (steps + 1))
    counts = cells.reshape(sequences, steps + 1)
    if sign == "<=":
        # The threshold of this rank is the first that lets a value pass.
        return np.cumsum(counts, axis=1)[:, :steps]
    return np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _rank(values: Floats, sign: Sign, thresholds: Floats) -> Ints:
    """(F,) how many thresholds are smaller, or for `>=` not larger; K of NaN for `<=`, else 0."""
    last = len(thresholds) - 1
    place = values * (last / thresholds[-1])
    np.clip(place, 0, last, out=place)
    place[np.isnan(place)] = last if sign == "<=" else 0
    rank: Ints = np.rint(place, out=place).astype(np.int64)
    # The nearest threshold alone is left to compare with: those before are smaller by half a step.
    nearest = thresholds.take(rank, mode="clip")
    if sign == "<=":
        rank += ~(values <= nearest)
    elif sign == ">":
        rank += values > nearest
    else:
        rank += values >= nearest
    return rank
