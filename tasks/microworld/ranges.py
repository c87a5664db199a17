"""Index ranges of the splits and the generator behind each index."""

from typing import Literal, get_args

import numpy as np

Split = Literal["pretraining", "training", "selection", "test"]
Kind = Literal["scene", "covered", "fine", "novel-1", "novel-2", "novel-3", "video", "mixed"]

SPLITS: tuple[Split, ...] = get_args(Split)
KINDS: tuple[Kind, ...] = get_args(Kind)
OBJECT_KINDS: tuple[Kind, ...] = ("covered", "fine", "novel-1", "novel-2", "novel-3")
RANGE_SIZE = 1 << 28

_ENTROPY_TAG = 0x6D6963726F


def first_index(split: Split) -> int:
    """Return the first world index of a split; the ranges are `RANGE_SIZE` long and disjoint."""
    return SPLITS.index(split) * RANGE_SIZE


def split_of(index: int) -> Split:
    """Return the split that a world index belongs to. Raises ValueError outside of all ranges."""
    if not 0 <= index < len(SPLITS) * RANGE_SIZE:
        raise ValueError(f"world index {index} is outside of all ranges")
    return SPLITS[index // RANGE_SIZE]


def generator(seed: int, index: int, kind: Kind, stream: int = 0) -> np.random.Generator:
    """Return the random generator that depends on nothing but its arguments."""
    key = (_ENTROPY_TAG, seed, KINDS.index(kind), index, stream)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
