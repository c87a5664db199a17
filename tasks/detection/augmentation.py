"""Stand-in: an image stretched to its canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from tasks.detection.masks import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.detection.annotations import Bools, Floats, Ints, Rle


@dataclass(frozen=True)
class View:
    image: NDArray[np.uint8]
    boxes: Floats
    masks: tuple[Rle, ...] | None
    labels: Ints
    crowd: Bools


@dataclass(frozen=True)
class Placed:
    image: NDArray[np.uint8]
    extent: tuple[int, int]
    scale: tuple[float, float]
    boxes: Floats
    masks: NDArray[np.uint8] | None
    labels: Ints
    crowd: Bools


def augment(view: View, recipe: Any, canvas: tuple[int, int], rng: np.random.Generator) -> Placed:
    if rng.random() < recipe.flip:
        width = view.image.shape[1]
        boxes = view.boxes.copy()
        boxes[:, [0, 2]] = width - view.boxes[:, [2, 0]]
        placed = place(
            View(view.image[:, ::-1], boxes, view.masks, view.labels, view.crowd), None, canvas
        )
        if placed.masks is None:
            return placed
        return Placed(**{**vars(placed), "masks": np.ascontiguousarray(placed.masks[:, :, ::-1])})
    return place(view, None, canvas)


def place(view: View, recipe: Any, canvas: tuple[int, int]) -> Placed:
    height, width = canvas
    scale = (width / view.image.shape[1], height / view.image.shape[0])
    image = cv2.resize(view.image, (width, height))
    masks = None
    if view.masks is not None:
        masks = np.zeros((len(view.masks), height, width), np.uint8)
        for k, rle in enumerate(view.masks):
            masks[k] = cv2.resize(decode(rle), (width, height), interpolation=0)
    return Placed(
        np.asarray(image, np.uint8),
        canvas,
        scale,
        view.boxes * [*scale, *scale],
        masks,
        view.labels,
        view.crowd,
    )
