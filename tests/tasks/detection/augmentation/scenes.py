"""Made-up images with shapes whose masks are known at every point of the plane."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from tasks.detection.annotations import Rle
from tasks.detection.augmentation import View


@dataclass(frozen=True)
class Ellipse:
    """Half axes along x and y about a centre, in image pixels."""

    x: float
    y: float
    a: float
    b: float

    def covers(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return ((x - self.x) / self.a) ** 2 + ((y - self.y) / self.b) ** 2 <= 1

    def box(self) -> list[float]:
        return [self.x - self.a, self.y - self.b, self.x + self.a, self.y + self.b]


def centres(count: int) -> np.ndarray:
    return np.arange(count) + 0.5


def ellipses(rng: np.random.Generator, size: tuple[int, int], count: int) -> list[Ellipse]:
    """All of them within the image."""
    height, width = size
    made = []
    for _ in range(count):
        a, b = rng.uniform(2, width / 3), rng.uniform(2, height / 3)
        made.append(Ellipse(rng.uniform(a, width - a), rng.uniform(b, height - b), a, b))
    return made


def scene(rng: np.random.Generator, size: tuple[int, int], shapes: list[Ellipse]) -> View:
    """A smooth image; labels and crowd flags at random, the flag a function of the label."""
    height, width = size
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3))
    image = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width].astype(np.uint8)
    x, y = np.meshgrid(centres(width), centres(height))
    masks = tuple(
        coco.encode(np.asfortranarray(shape.covers(x, y).astype(np.uint8))) for shape in shapes
    )
    boxes = np.array([shape.box() for shape in shapes]).reshape(-1, 4)
    labels = rng.permutation(len(shapes)).astype(np.int64)
    return View(image, boxes, masks, labels, labels % 3 == 0)


def decoded(mask: Rle) -> np.ndarray:
    """(h, w) of 0 and 1, by pycocotools, which asks NumPy in a way that it will not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.asarray(coco.decode(mask))
