"""Images with their objects as a map-style data set."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contract import DataError, DataInfo, Ragged, Split, TaskDataset
from tasks.detection.annotations import Packed
from tasks.detection.augmentation import View, augment, check, place
from tasks.detection.masks import Masks
from tasks.detection.sources import LICENCES, Source, open_source
from tasks.subsets import subset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.detection.annotations import Annotations, Ints
    from tasks.detection.clusters import BoxList
    from tasks.detection.recipe import DetectionRecipe

WITHOUT_OBJECTS = "training image without an object"


class DetectionDataset(TaskDataset):
    """One sample an image.

    Training leaves out images without an object if the recipe says so; crowd regions are none.

    Attributes:
        annotations: of the samples: its images are in their order.
        source: where the images are.

    Raises:
        DataError: files that are missing or malformed.
        RecipeError: images may come out larger than the canvas.
    """

    def __init__(self, recipe: DetectionRecipe, split: Split) -> None:
        data = recipe.data
        self.recipe, self.split = recipe, split
        for section in (recipe.augmentation, recipe.evaluation):
            check(section, recipe.backbone.input_size)
        self.source: Source = open_source(data, split)
        found = self.source.annotations
        skipped = {f"repaired: {rule}": count for rule, count in found.repaired.items()}
        rows = np.arange(len(found.images))
        if split == "training" and data.empty_images == "leave_out":
            rows = np.unique(found.objects.image[~found.objects.crowd])
            if len(rows) < len(found.images):
                skipped[WITHOUT_OBJECTS] = len(found.images) - len(rows)
        if len(rows) == 0:
            why = ": every one is without an object (--set data.empty_images=keep takes them)"
            raise DataError(
                f"{self.source.name} has no image for the {split} split"
                + (why if len(found.images) else "")
            )
        rows = rows[: data.limit]
        self._rows: Ints = rows
        self.annotations: Annotations = found.of_images(rows)
        # Packed ones stay so where of the split's images none has an object.
        masks = isinstance(found.objects.masks, Packed) or len(found.objects.masks) > 0
        parts = [split, str(data.masks), str(data.repair), str(data.held_out_seed)]
        parts += [self.source.digest(rows), *map(str, self.annotations.images.ids.tolist())]
        self.info = DataInfo(
            name=data.name,
            split=split,
            count=len(rows),
            sha256=_sha256(parts),
            licence=LICENCES[data.name],
            skipped=skipped,
            model={"classes": list(found.categories), "masks": masks},
        )

    def __len__(self) -> int:
        return len(self._rows)

    def item(self, index: int, rng: np.random.Generator | None) -> dict[str, Any]:
        """The image on the canvas and where its objects are in it.

        Beside `image` (3, H, W): `extent` (2,) height and width of what the image covers of the
        canvas, from its upper left corner; `scale` (2,) from image to canvas pixels, x and y;
        `image_size` (2,) height and width as annotated; `image_id`; and of its n objects `boxes`
        (n, 4) x1, y1, x2, y2 in canvas pixels, `labels` (n,) from 0, `masks` (n, H, W) of 0 and 1
        if `info.model["masks"]`; of its m crowd regions `crowd` (m, 4), boxes likewise.
        """
        images, canvas = self.annotations.images, self.recipe.backbone.input_size
        view = self._view(index)
        if rng is not None:
            placed = augment(view, self.recipe.augmentation, canvas, rng)
        else:
            placed = place(view, self.recipe.evaluation, canvas)
        single = ~placed.crowd
        item = {
            "image": np.ascontiguousarray(placed.image.transpose(2, 0, 1)),
            "extent": np.array(placed.extent, np.int64),
            "scale": np.array(placed.scale, np.float32),
            "image_size": images.sizes[index][::-1].copy(),
            "image_id": int(images.ids[index]),
            "boxes": Ragged(placed.boxes[single].astype(np.float32)),
            "labels": Ragged(placed.labels[single].astype(np.int64)),
            "crowd": Ragged(placed.boxes[placed.crowd].astype(np.float32)),
        }
        if placed.masks is not None:
            # A mask is as large as the canvas, so they are not copied without need.
            item["masks"] = Ragged(placed.masks if single.all() else placed.masks[single])
        return item

    def image(self, index: int) -> NDArray[np.uint8]:
        """The image of a sample as it is, RGB (H, W, 3)."""
        return self.source.image(int(self._rows[index]))

    def permuted(self, seed: int) -> DetectionDataset:
        """All objects of an image exchanged for those of another, in shares of its sides."""
        other = np.random.default_rng(seed).permutation(len(self))
        moved = self.annotations.of_images(other)
        images, objects = self.annotations.images, moved.objects
        ratio = images.sizes[objects.image] / moved.images.sizes[objects.image]
        masks = objects.masks
        if isinstance(masks, Masks):
            masks = masks.resized(images.sizes[objects.image][:, ::-1])
        objects = replace(
            objects,
            boxes=objects.boxes * np.tile(ratio, 2),
            areas=objects.areas * ratio.prod(1),
            masks=masks,
        )
        return self._with(replace(moved, images=images, objects=objects), self._rows, self.info)

    def fraction(self, share: float, seed: int) -> DetectionDataset:
        """A share of the images."""
        names = [str(number) for number in self.annotations.images.ids.tolist()]
        rows = np.flatnonzero(subset(None, names, share, seed))
        sha256 = _sha256([self.info.sha256, *map(str, rows.tolist())])
        info = self.info.part(len(rows), sha256)
        return self._with(self.annotations.of_images(rows), self._rows[rows], info)

    @property
    def fixed(self) -> bool:
        training, evaluation = self.recipe.augmentation, self.recipe.evaluation
        moves = training.mode != "fit" or training.flip > 0 or training.min_area > 0
        same = training.resampler == evaluation.resampler and evaluation.short_side is None
        return same and not moves

    @property
    def view(self) -> dict[str, Any]:
        size = list(self.recipe.backbone.input_size)
        return {"input_size": size, "evaluation": self.recipe.evaluation.model_dump(mode="json")}

    def clusters(self) -> BoxList:
        """The boxes that a prediction without looking has in every image."""
        from tasks.detection import clusters

        return clusters.of(self.annotations, self.recipe.test.detections)

    def _view(self, index: int) -> View:
        """The image and what is annotated in it."""
        order, starts = self._of_image
        objects = self.annotations.objects.take(order[starts[index] : starts[index + 1]])
        masks = None
        if self.info.model["masks"]:
            masks = tuple(rle for rle in objects.masks if rle is not None)
            if len(masks) < len(objects):
                number = self.annotations.images.ids[index]
                raise DataError(f"image {number} has an object without a mask, others have one")
        return View(self.image(index), objects.corners, masks, objects.category, objects.crowd)

    @cached_property
    def _of_image(self) -> tuple[Ints, Ints]:
        """Objects by image, and where each image's begin."""
        image = self.annotations.objects.image
        order = np.argsort(image, kind="stable")
        return order, np.searchsorted(image[order], np.arange(len(self) + 1))

    def _with(self, annotations: Annotations, rows: Ints, info: DataInfo) -> DetectionDataset:
        other = copy.copy(self)
        other.__dict__.pop("_of_image", None)
        other.annotations, other._rows, other.info = annotations, rows, info
        return other


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
