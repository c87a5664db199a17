"""Sequences that were followed, for tests of pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataInfo, Row
from tasks.tracking import rows as stored
from tasks.tracking.sequences import Frames, Sequence

Floats = NDArray[np.float64]


class Painted(Frames):
    """Frames of one colour, each a little lighter than the last."""

    def __init__(self, count: int, size: tuple[int, int] = (60, 80)) -> None:
        self.count, self.size = count, size
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def read(self, frame: int) -> NDArray[np.uint8]:
        self.asked.append(frame)
        return np.full((*self.size, 3), 60 + frame % 100, np.uint8)

    def name(self, frame: int) -> str:
        return f"{frame + 1:08d}.jpg"


@dataclass
class Followable:
    """What pictures ask of a data set."""

    sequences: list[Sequence]
    convention: str = "got10k"
    info: DataInfo = field(default_factory=lambda: DataInfo("painted", "test", 1, "0" * 64, "none"))

    @property
    def recipe(self) -> Any:
        return SimpleNamespace(
            data=SimpleNamespace(name="microworld"),
            measure=SimpleNamespace(convention=self.convention, valid_only=False),
            crop=SimpleNamespace(search_factor=4.0, min_side=10.0),
            backbone=SimpleNamespace(input_size=(64, 64)),
        )


def moving(count: int, start: tuple[float, float] = (20, 15), step: float = 1.0) -> Floats:
    """(count,4) a box 20 x 10 that moves to the right."""
    boxes = np.tile([*start, 20.0, 10.0], (count, 1))
    boxes[:, 0] += step * np.arange(count)
    return boxes


def sequence(name: str, count: int = 10, **fields: Any) -> Sequence:
    boxes = fields.pop("boxes", moving(count))
    return Sequence(name, fields.pop("frames", Painted(count)), boxes, **fields)


def prediction(sample: int, found: Sequence, lag: float = 0.0, maps: bool = True) -> Row:
    """Boxes that are behind the truth by so many pixels a frame."""
    boxes = found.boxes.copy()
    boxes[:, 0] -= lag * np.arange(len(boxes))
    centres = np.concatenate([np.full((1, 4), np.nan), boxes[:-1]])
    scores = np.concatenate([[np.nan], np.linspace(1, 0.5, len(boxes) - 1)])
    cells = np.zeros((len(boxes), 8, 8), np.uint8)
    cells[:, 2, 5] = 255
    return stored.row(sample, found.name, boxes, scores, centres, cells if maps else None)
