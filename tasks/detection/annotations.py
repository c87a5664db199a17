"""Annotated objects as arrays: what data sets are read into and metrics are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypedDict, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Rle(TypedDict):
    """A mask in pycocotools' compressed run lengths: `size` is [height, width]."""

    size: list[int]
    counts: bytes


@runtime_checkable
class Packed(Protocol):
    """Masks that are kept in another form and turned into run lengths when asked for."""

    def take(self, rows: Ints) -> Sequence[Rle | None]: ...


@dataclass(frozen=True)
class Images:
    """N images.

    Attributes:
        ids: (N,), all different.
        files: names of the files below the image folder.
        sizes: (N, 2) width and height in pixels.
    """

    ids: Ints
    files: tuple[str, ...]
    sizes: Ints

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Objects:
    """M annotated objects.

    Attributes:
        ids: (M,), all different.
        image: (M,) row of the image.
        category: (M,) row of the category.
        boxes: (M, 4) x, y, width, height in pixels, as annotated.
        areas: (M,) square pixels, as annotated, or of the box where nothing is.
        crowd: (M,) whether it stands for a group.
        masks: of each its run lengths, or None; empty where the data set has boxes only. A tuple,
            or `Packed`.
    """

    ids: Ints
    image: Ints
    category: Ints
    boxes: Floats
    areas: Floats
    crowd: Bools
    masks: Sequence[Rle | None] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def corners(self) -> Floats:
        """(M, 4) the boxes as x1, y1, x2, y2."""
        return np.concatenate([self.boxes[:, :2], self.boxes[:, :2] + self.boxes[:, 2:]], axis=1)

    def take(self, rows: Any) -> Objects:
        """Those at `rows`: a mask, numbers or a slice."""
        # Of numbers none has to be made; a data set asks for every sample's.
        given = isinstance(rows, np.ndarray) and rows.dtype != np.bool_
        numbers = rows if given else np.arange(len(self))[rows]
        masks: Sequence[Rle | None] = self.masks
        if isinstance(masks, Packed):
            masks = masks.take(numbers)
        elif len(masks):
            masks = tuple(masks[k] for k in numbers.tolist())
        return Objects(
            self.ids[numbers],
            self.image[numbers],
            self.category[numbers],
            self.boxes[numbers],
            self.areas[numbers],
            self.crowd[numbers],
            masks,
        )


@dataclass(frozen=True)
class Annotations:
    """One split of a data set.

    Attributes:
        categories: names, in the order of their ids.
        category_ids: (C,) as in the file, gaps and all.
        repaired: rule by which annotations were mended -> number of them.
    """

    images: Images
    objects: Objects
    categories: tuple[str, ...]
    category_ids: Ints
    repaired: dict[str, int]

    def of_images(self, rows: Ints) -> Annotations:
        """Those of the images at `rows`, numbered anew in that order."""
        new = np.full(len(self.images), -1, np.int64)
        new[rows] = np.arange(len(rows))
        objects = self.objects.take(new[self.objects.image] >= 0)
        images = Images(
            self.images.ids[rows],
            tuple(self.images.files[row] for row in rows.tolist()),
            self.images.sizes[rows],
        )
        return replace(self, images=images, objects=replace(objects, image=new[objects.image]))


@dataclass(frozen=True)
class Detections:
    """K predicted objects, in the order in which they were predicted.

    Attributes:
        image: (K,) row of the image.
        category: (K,) row of the category.
        boxes: (K, 4) x, y, width, height in image pixels.
        scores: (K,).
        masks: of each its run lengths in the image's size; empty where there are boxes only.
    """

    image: Ints
    category: Ints
    boxes: Floats
    scores: Floats
    masks: tuple[Rle, ...] = ()

    def __len__(self) -> int:
        return len(self.image)
