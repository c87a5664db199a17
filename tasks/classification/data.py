"""Images and their classes as a map-style data set."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.classification.augmentation.views import fixed, test_view, train_view
from tasks.contract import DataInfo, Split, TaskDataset
from tasks.subsets import subset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.classification.opening import Opened
    from tasks.classification.recipe import ClassificationRecipe

LIST_AT_MOST = 1000
"""Class names that a record holds; of more it holds the number alone."""


class ClassificationDataset(TaskDataset):
    """One sample an image.

    Attributes:
        opened: the data set that this is a split of.
        rows: (N,) the samples' rows in their part.
        labels: (N,) class numbers from 0, or (N,C): 1 shown, -1 not, 0 difficult.
    """

    def __init__(self, recipe: ClassificationRecipe, split: Split, opened: Opened) -> None:
        self.recipe, self.opened = recipe, opened
        part, rows = opened.parts[split], opened.first(split, recipe.data.limit)
        self.images, self.rows = part.images, rows
        self.labels: NDArray[np.int64] = part.labels[rows]
        names = opened.class_names
        self.info = DataInfo(
            name=recipe.data.name,
            split=split,
            count=len(rows),
            sha256=opened.digest(split, rows),
            licence=opened.licence,
            skipped=opened.skipped[split],
            model={
                "classes": len(names),
                "class_names": list(names) if len(names) <= LIST_AT_MOST else [],
                "figure": opened.figure,
                "notes": list(opened.notes) if split == "training" else [],
            },
        )

    def __len__(self) -> int:
        return len(self.rows)

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        """The image as `image` (3,H,W) uint8 and what it shows as `target`; in training also the
        rectangles that are erased as `erase` (n,4), where the recipe asks for some."""
        image, recipe = self.images.read(int(self.rows[index])), self.recipe
        size, target = recipe.backbone.input_size, self.labels[index]
        if rng is None:
            seen = test_view(image, size, recipe.test.crop_share, recipe.test.interpolation)
            return {"image": _planes(seen), "target": target}
        seen, erased = train_view(image, size, recipe.augmentation, rng, recipe.test.crop_share)
        item = {"image": _planes(seen), "target": target}
        return item if recipe.augmentation.erasing is None else item | {"erase": erased}

    def name(self, index: int) -> str:
        """The image's own name in the data set."""
        return self.images.name(int(self.rows[index]))

    @property
    def fixed(self) -> bool:
        # A probe sees the images as evaluation does; nothing moves them.
        return self.recipe.protocol == "frozen" or fixed(self.recipe.augmentation)

    @property
    def view(self) -> dict[str, Any]:
        size = list(self.recipe.backbone.input_size)
        return {"input_size": size, "test": self.recipe.test.model_dump(mode="json")}

    def frequency(self) -> NDArray[np.float64]:
        """(C,) the share of the images that show each class."""
        classes = len(self.opened.class_names)
        if self.labels.ndim == 2:
            shown: NDArray[np.float64] = (self.labels == 1).mean(0)
            return shown
        return np.bincount(self.labels, minlength=classes) / len(self)

    def permuted(self, seed: int) -> ClassificationDataset:
        """The labels exchanged among the images."""
        other = copy.copy(self)
        other.labels = self.labels[np.random.default_rng(seed).permutation(len(self))]
        return other

    def fraction(self, share: float, seed: int) -> ClassificationDataset:
        labels = None if self.labels.ndim == 2 else self.labels
        kept = subset(labels, [self.name(k) for k in range(len(self))], share, seed)
        other = copy.copy(self)
        other.rows, other.labels = self.rows[kept], self.labels[kept]
        other.info = self.info.part(
            len(other.rows), self.opened.digest(self.info.split, other.rows)
        )
        return other


def _planes(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image.transpose(2, 0, 1))
