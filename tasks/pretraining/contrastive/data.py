"""Two views of each image."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contract import SPLITS, TaskDataset
from tasks.microworld.several import prepare_several
from tasks.pretraining import crops, images
from tasks.pretraining.contrastive import colours

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tasks.contract import Split
    from tasks.microworld import Microworld
    from tasks.pretraining.contrastive.recipe import ContrastiveRecipe

_EVALUATION_TAG = 0x70616972


class PairedImages(TaskDataset):
    """Two views `image` and `other` (3,H,W) uint8 of each image: a random part, perhaps mirrored,
    its colours changed. For evaluation the pair belongs to the image's index."""

    def __init__(self, recipe: ContrastiveRecipe, split: Split) -> None:
        self.recipe = recipe
        self.images, self.info = images.open_world(_world(recipe, split), split)

    def __len__(self) -> int:
        return self.info.count

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        image = self.images.read(index)
        stream = np.random.default_rng((_EVALUATION_TAG, index)) if rng is None else rng
        return {"image": self._view(image, 0, stream), "other": self._view(image, 1, stream)}

    def fraction(self, share: float, seed: int) -> PairedImages:
        other = copy.copy(self)
        rows, other.info = images.part(self.info, None, share, seed)
        other.images = images.SomeImages(self.images, rows)
        return other

    def _view(
        self, image: NDArray[np.uint8], number: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        recipe = self.recipe
        part = crops.view(image, recipe.augmentation, recipe.backbone.input_size, rng)
        changed = colours.change(part, recipe.colours, number, rng)
        return np.ascontiguousarray(changed.transpose(2, 0, 1))


def prepare(recipe: ContrastiveRecipe, progress: Callable[[int, int], None] | None) -> None:
    """Render what the data sets of `recipe` read, unless it is there."""
    prepare_several([_world(recipe, split) for split in SPLITS], progress)


def _world(recipe: ContrastiveRecipe, split: Split) -> Microworld:
    return images.world(recipe.data, split, "mixed", recipe.backbone.input_size)
