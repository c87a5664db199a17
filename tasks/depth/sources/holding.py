"""The selection split held out of training: whole sequences, since frames of one look alike."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def held_out(
    sequences: Sequence[str], names: Sequence[str], share: float, seed: int
) -> NDArray[np.bool_]:
    """Which images are held out, (N,): a function of the sequences' names and sizes and the seed.

    Sequences are looked at in the order of a hash, and taken while that brings the number of images
    nearer to `share` of all; if none does, it is the smallest one. Where everything is one
    sequence, the images stand for sequences.

    Args:
        sequences: of each image.
        names: of the images, all different.
        share: in (0,1).
        seed: decides the order.

    Raises:
        DataError: there is one image only.
    """
    if len(names) < 2:
        raise DataError("of one training image none can be held out for selection; give more")
    groups = names if len(set(sequences)) == 1 else sequences
    counts = Counter(groups)
    order = sorted(counts, key=lambda group: _key(seed, group))
    target, total, taken = share * len(names), 0, set[str]()
    for group in order:
        if abs(total + counts[group] - target) < abs(total - target):
            taken.add(group)
            total += counts[group]
    if not taken:
        taken.add(min(order, key=lambda group: counts[group]))
    if len(taken) == len(counts):
        taken.discard(order[-1])
    return np.array([group in taken for group in groups], np.bool_)


def _key(seed: int, group: str) -> str:
    return hashlib.sha256(f"held out/{seed}/{group}".encode("utf-8", "surrogateescape")).hexdigest()
