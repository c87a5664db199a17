"""Sequences without images, as a data set that files of boxes are held against."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tasks.contract import DataInfo
from tasks.tracking.sequences import Frames, Sequence

NAMES = ("walker", "crane.1", "bird")
LENGTHS = (4, 3, 5)


class Blank(Frames):
    """So many black frames."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, frame: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.zeros((48, 64, 3), np.uint8)

    def name(self, frame: int) -> str:
        return str(frame)


def boxes(sample: int, run: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(T,4): what a tracker says of a sequence; the first is the given box."""
    rng = np.random.default_rng([sample, run])
    found = rng.uniform(3, 30, (LENGTHS[sample], 4))
    found[0] = sample + 1.25, 2.5, 10.125, 8
    return found


class Standing:
    """A data set of three sequences of which the first box is known, as of GOT-10k's test split and
    TrackingNet's, or each."""

    def __init__(self, recipe: Any) -> None:
        self.recipe = recipe
        self.info = DataInfo("standing", "test", len(NAMES), "5" * 64, "none")
        served = recipe.data.name == "trackingnet" or recipe.data.version == "test"
        self.sequences = [sequence(sample, not served) for sample in range(len(NAMES))]

    def __len__(self) -> int:
        return len(self.sequences)


def sequence(sample: int, labelled: bool) -> Sequence:
    known = boxes(sample)
    if not labelled:
        known[1:] = np.nan
    return Sequence(NAMES[sample], Blank(LENGTHS[sample]), known, labelled=labelled)


def standing(name: str = "got10k", convention: str = "got10k", **data: Any) -> Any:
    """The data set under a recipe with such values."""
    values = {"limit": None, "version": "test", "name": name} | data
    return Standing(
        SimpleNamespace(
            data=SimpleNamespace(**values), measure=SimpleNamespace(convention=convention)
        )
    )
