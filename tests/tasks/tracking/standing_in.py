"""Sources of made-up sequences, and recipes for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.tracking.recipe import TrackingRecipe
from tasks.tracking.sequences import Frames, Sequence, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = (60, 80)
SETTINGS: dict[str, Any] = {
    "scale": "smoke",
    "backbone": {"input_size": [64, 48]},
    "data": {"name": "otb100", "pairs": 40, "max_gap": 5},
    "crop": {"template_size": [32, 24]},
    "optimizer": {"lr": 1e-3},
    "schedule": {},
    "train": {"batch_size": 2, "steps": 2},
}


class Noise(Frames):
    """Grains of a sequence's own; frame k has the value k in its first pixel."""

    def __init__(self, count: int, seed: int, size: tuple[int, int] = SIZE) -> None:
        self.count, self.seed, self.size = count, seed, size

    def __len__(self) -> int:
        return self.count

    def read(self, frame: int) -> NDArray[np.uint8]:
        grains = np.random.default_rng([self.seed, frame])
        found = grains.integers(0, 256, (*self.size, 3), dtype=np.uint8)
        found[0, 0] = frame
        return found

    def name(self, frame: int) -> str:
        return f"{frame:08d}.jpg"


def sequence(name: str, count: int, seed: int) -> Sequence:
    """Boxes that drift and grow, all in the image."""
    rng = np.random.default_rng(seed)
    corner, sides = rng.uniform(5, 20, (count, 2)), rng.uniform(6, 30, (count, 2))
    return Sequence(name, Noise(count, seed), np.concatenate((corner, sides), 1))


def source(name: str, counts: list[int], seed: int = 0) -> Source:
    """Sequences of so many frames."""
    made = [sequence(f"{name}-{k}", n, 100 * seed + k) for k, n in enumerate(counts)]
    return Source(name, made, f"digest of {name}", "made up")


def with_boxes(given: Sequence, rows: dict[int, list[float]], **flags: Any) -> Sequence:
    """Some of its boxes replaced."""
    boxes = given.boxes.copy()
    for frame, box in rows.items():
        boxes[frame] = box
    return replace(given, boxes=boxes, **flags)


def recipe(**sections: Any) -> TrackingRecipe:
    """`SETTINGS` with some of them changed."""
    merged = dict(SETTINGS)
    for name, section in sections.items():
        there = merged.get(name)
        merged[name] = {**there, **section} if isinstance(there, dict) else section
    return TrackingRecipe.model_validate(merged)
