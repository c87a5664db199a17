"""Views of single objects of the embedded world as a classification data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.classification.datasets.contract import Images, Official, Part
from tasks.contract import SPLITS, Split
from tasks.microworld import Kind, Microworld, labels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.classification.recipe import ClassificationData

LEVELS: tuple[Kind, ...] = ("novel-1", "novel-2", "novel-3")


class WorldImages(Images):
    """The images of several kinds of views by turns, so that any first part holds all of them."""

    def __init__(self, worlds: tuple[Microworld, ...]) -> None:
        self.worlds = worlds

    def __len__(self) -> int:
        return sum(map(len, self.worlds))

    def read(self, row: int) -> NDArray[np.uint8]:
        world, index = self._place(row)
        return world.image(index)

    def name(self, row: int) -> str:
        world, index = self._place(row)
        return f"{world.kind}/{world.split}/{index}"

    def size(self, row: int) -> int:
        height, width = self.worlds[0].size
        return height * width * 3

    def content(self, row: int) -> bytes:
        return self.read(row).tobytes()

    def _place(self, row: int) -> tuple[Microworld, int]:
        return self.worlds[row % len(self.worlds)], row // len(self.worlds)


def kinds(data: ClassificationData) -> tuple[Kind, ...]:
    """The kinds of views behind a label set."""
    return LEVELS if data.labels == "novel" else (data.labels,)


def worlds(data: ClassificationData, split: Split) -> tuple[Microworld, ...]:
    """The parts of the world behind a split, one a kind."""
    found, total = kinds(data), getattr(data.count, split)
    counts = [-(-(total - number) // len(found)) for number in range(len(found))]
    return tuple(
        Microworld(split, count, kind, data.size, data.seed)
        for kind, count in zip(found, counts, strict=True)
    )


def groups(data: ClassificationData) -> dict[str, list[int]]:
    """Kind -> numbers of its classes, where there are several."""
    if len(kinds(data)) == 1:
        return {}
    first, found = 0, {}
    for kind in kinds(data):
        found[str(kind)] = list(range(first, first + len(labels_of(kind))))
        first += len(labels_of(kind))
    return found


def read(data: ClassificationData) -> Official:
    """The splits of a label set; the classes of `novel` are those of its levels in order."""
    parts: dict[Split, Part] = {split: _part(data, split) for split in SPLITS}
    names = tuple(name for kind in kinds(data) for name in labels_of(kind))
    return Official(parts["training"], parts["selection"], parts["test"], names)


def _part(data: ClassificationData, split: Split) -> Part:
    found = worlds(data, split)
    images = WorldImages(found)
    labels = np.empty(len(images), np.int64)
    first = 0
    for number, world in enumerate(found):
        labels[number :: len(found)] = world.labels() + first
        first += len(world.class_names)
    return Part(images, labels)
