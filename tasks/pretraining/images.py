"""The images of pre-training: from the embedded world or from a folder."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tasks.contract import DataInfo
from tasks.pretraining import folder
from tasks.subsets import subset

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tasks.contract import Split
    from tasks.microworld import Kind, Microworld
    from tasks.microworld import Split as WorldSplit

_WORLD_SPLITS: dict[Split, WorldSplit] = {
    "training": "pretraining",
    "selection": "selection",
    "test": "test",
}


class Counts(Protocol):
    """How much of the world a recipe asks for; see `tasks.pretraining.settings`."""

    limit: int | None
    training: int
    selection: int
    test: int
    seed: int


class Images(Protocol):
    """RGB images by index."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return (H,W,3)."""


class SomeImages:
    """The images at some indices of others."""

    def __init__(self, images: Images, rows: NDArray[np.int64]) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.images.read(int(self.rows[index]))


def part(
    info: DataInfo, labels: NDArray[np.int64] | None, share: float, seed: int
) -> tuple[NDArray[np.int64], DataInfo]:
    """The indices of a part of the images, of each class as many, and what it says of itself."""
    chosen = subset(labels, [str(index) for index in range(info.count)], share, seed)
    rows = np.flatnonzero(chosen)
    text = "\n".join([info.sha256, *map(str, rows.tolist())])
    return rows, info.part(len(rows), hashlib.sha256(text.encode()).hexdigest())


class WorldImages:
    """The images of a prepared world."""

    def __init__(self, world: Microworld) -> None:
        self.world = world

    def __len__(self) -> int:
        return len(self.world)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.world.image(index)


def world(data: Counts, split: Split, kind: Kind, size: tuple[int, int]) -> Microworld:
    """The world's part for a split; for training its pre-training range, which holds no novel
    class.

    Args:
        data: the numbers of images and the seed.
        split: of the data set.
        kind: "mixed": general scenes and views of covered objects by turns; "covered": views alone.
        size: (height, width) in pixels.
    """
    from tasks.microworld import Microworld

    count = {"training": data.training, "selection": data.selection, "test": data.test}[split]
    return Microworld(_WORLD_SPLITS[split], min(count, data.limit or count), kind, size, data.seed)


def open_world(part: Microworld, split: Split) -> tuple[Images, DataInfo]:
    """The images of a part of the world, and what it says of itself."""
    info = DataInfo("microworld", split, len(part), part.manifest["sha256"], "as this package")
    return WorldImages(part), info


def open_folder(root: Path | None, split: Split, limit: int | None) -> tuple[Images, DataInfo]:
    """The images of a folder in ImageNet's layout, and what it says of itself.

    Raises:
        DataError: it is missing or has another layout.
    """
    found = folder.scan(root, split, limit)
    digest = hashlib.sha256(f"images {found.sha256}".encode()).hexdigest()
    return found, DataInfo("images", split, len(found), digest, "the owner's")
