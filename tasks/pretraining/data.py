"""Images with a mask: from the embedded world or from a folder."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tasks.contract import SPLITS, DataInfo, TaskDataset
from tasks.pretraining import crops, folder, masks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tasks.contract import Split
    from tasks.microworld import Microworld
    from tasks.microworld import Split as WorldSplit
    from tasks.pretraining.recipe import PretrainingRecipe

_WORLD_SPLITS: dict[Split, WorldSplit] = {
    "training": "pretraining",
    "selection": "selection",
    "test": "test",
}


class Images(Protocol):
    """RGB images by index."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return (H,W,3)."""


class MaskedImages(TaskDataset):
    """Images (3,H,W) uint8 with a mask (H/p,W/p) bool, True = hidden.

    For training an image is cropped at random, mirrored and masked anew at each visit; for
    evaluation it is its largest central part, under a mask that belongs to its index.
    """

    def __init__(self, recipe: PretrainingRecipe, split: Split) -> None:
        self.recipe = recipe
        self.images, self.info = _open(recipe, split)

    def __len__(self) -> int:
        return self.info.count

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        recipe, size = self.recipe.augmentation, self.recipe.backbone.input_size
        image = self.images.read(index)
        if rng is None:
            crop = crops.central_crop(_size_of(image), size[1] / size[0])
        else:
            crop = crops.random_crop(_size_of(image), recipe, rng)
        view = crops.cut(image, crop, size, recipe.interpolation)
        if rng is not None and rng.random() < recipe.flip:
            view = view[:, ::-1]
        stream = masks.fixed_generator(index) if rng is None else rng
        mask = masks.draw(self.recipe.mask, size, self.recipe.encoder.patch_size, stream)
        return {"image": np.ascontiguousarray(view.transpose(2, 0, 1)), "mask": mask}

    def mean_image(self) -> NDArray[np.float64]:
        """The mean over all images as evaluation sees them, (3,H,W) in [0,1]."""
        total = np.zeros((3, *self.recipe.backbone.input_size))
        for index in range(len(self)):
            total += self.item(index, None)["image"]
        return total / len(self) / 255


def prepare(recipe: PretrainingRecipe, progress: Callable[[int, int], None] | None) -> None:
    """Render what the data sets of `recipe` read, unless it is there."""
    if recipe.data.name != "microworld":
        return
    worlds = [_world(recipe, split) for split in SPLITS]
    whole = sum(len(world) for world in worlds)
    before = 0
    for world in worlds:

        def advance(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, whole)

        world.prepare(advance)
        before += len(world)


class _World:
    """The images of a prepared world."""

    def __init__(self, world: Microworld) -> None:
        self.world = world

    def __len__(self) -> int:
        return len(self.world)

    def read(self, index: int) -> NDArray[np.uint8]:
        return self.world.image(index)


def _world(recipe: PretrainingRecipe, split: Split) -> Microworld:
    """General scenes and views of covered objects by turns: `mixed`."""
    from tasks.microworld import Microworld

    data = recipe.data
    count = {"training": data.training, "selection": data.selection, "test": data.test}[split]
    return Microworld(
        _WORLD_SPLITS[split],
        min(count, data.limit or count),
        "mixed",
        recipe.backbone.input_size,
        data.seed,
    )


def _open(recipe: PretrainingRecipe, split: Split) -> tuple[Images, DataInfo]:
    name = recipe.data.name
    if name == "microworld":
        world = _world(recipe, split)
        return _World(world), DataInfo(
            name, split, len(world), world.manifest["sha256"], "as this package"
        )
    found = folder.scan(recipe.data.root, split, recipe.data.limit)
    digest = hashlib.sha256(f"{name} {found.sha256}".encode()).hexdigest()
    return found, DataInfo(name, split, len(found), digest, "the owner's")


def _size_of(image: NDArray[np.uint8]) -> crops.Size:
    return image.shape[0], image.shape[1]
