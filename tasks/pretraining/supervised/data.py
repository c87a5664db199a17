"""Views of covered objects with their class."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contract import SPLITS, TaskDataset
from tasks.microworld.several import prepare_several
from tasks.pretraining import crops, images

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tasks.contract import Split
    from tasks.microworld import Microworld
    from tasks.pretraining.supervised.recipe import SupervisedRecipe


class LabelledImages(TaskDataset):
    """Images (3,H,W) uint8 with `label`, the number of a covered class; for training by two views a
    second one as `other`.

    Attributes:
        class_names: by number.
    """

    def __init__(self, recipe: SupervisedRecipe, split: Split) -> None:
        self.recipe = recipe
        self.world = _world(recipe, split)
        self.images, self.info = images.open_world(self.world, split)
        self.class_names = self.world.class_names

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Of all images, (N,) int64, by the descriptions that they are rendered from: in the
        pre-training range nothing but images is stored."""
        described = (self.world.describe(index) for index in range(len(self)))
        return np.array([scene.label for scene in described], dtype=np.int64)

    def __len__(self) -> int:
        return self.info.count

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        image = self.images.read(index)
        names = ("image", "other")[: 1 if rng is None else self.recipe.classifier.views]
        views = {name: self._view(image, rng) for name in names}
        return views | {"label": self.labels[index]}

    def _view(self, image: NDArray[np.uint8], rng: np.random.Generator | None) -> NDArray[np.uint8]:
        recipe = self.recipe
        view = crops.view(image, recipe.augmentation, recipe.backbone.input_size, rng)
        return np.ascontiguousarray(view.transpose(2, 0, 1))

    def fraction(self, share: float, seed: int) -> LabelledImages:
        other = copy.copy(self)
        rows, other.info = images.part(self.info, self.labels, share, seed)
        other.images = images.SomeImages(self.images, rows)
        other.labels = self.labels[rows]
        return other

    def permuted(self, seed: int) -> LabelledImages:
        other = copy.copy(self)
        other.labels = np.random.default_rng(seed).permutation(self.labels)
        return other


def prepare(recipe: SupervisedRecipe, progress: Callable[[int, int], None] | None) -> None:
    """Render what the data sets of `recipe` read, unless it is there."""
    prepare_several([_world(recipe, split) for split in SPLITS], progress)


def _world(recipe: SupervisedRecipe, split: Split) -> Microworld:
    return images.world(recipe.data, split, "covered", recipe.backbone.input_size)
