"""Images with a mask."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contract import SPLITS, TaskDataset
from tasks.microworld.several import prepare_several
from tasks.pretraining import crops, images, masks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tasks.contract import DataInfo, Split
    from tasks.microworld import Microworld
    from tasks.pretraining.recipe import PretrainingRecipe


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
        size = self.recipe.backbone.input_size
        view = crops.view(self.images.read(index), self.recipe.augmentation, size, rng)
        stream = masks.fixed_generator(index) if rng is None else rng
        mask = masks.draw(self.recipe.mask, size, self.recipe.encoder.patch_size, stream)
        return {"image": np.ascontiguousarray(view.transpose(2, 0, 1)), "mask": mask}

    def fraction(self, share: float, seed: int) -> MaskedImages:
        other = copy.copy(self)
        rows, other.info = images.part(self.info, None, share, seed)
        other.images = images.SomeImages(self.images, rows)
        return other

    def mean_image(self) -> NDArray[np.float64]:
        """The mean over all images as evaluation sees them, (3,H,W) in [0,1]."""
        total = np.zeros((3, *self.recipe.backbone.input_size))
        for index in range(len(self)):
            total += self.item(index, None)["image"]
        return total / len(self) / 255


def prepare(recipe: PretrainingRecipe, progress: Callable[[int, int], None] | None) -> None:
    """Render what the data sets of `recipe` read, unless it is there."""
    if recipe.data.name == "microworld":
        prepare_several([_world(recipe, split) for split in SPLITS], progress)


def _world(recipe: PretrainingRecipe, split: Split) -> Microworld:
    return images.world(recipe.data, split, "mixed", recipe.backbone.input_size)


def _open(recipe: PretrainingRecipe, split: Split) -> tuple[images.Images, DataInfo]:
    if recipe.data.name == "microworld":
        return images.open_world(_world(recipe, split), split)
    return images.open_folder(recipe.data.root, split, recipe.data.limit)
