"""Made-up images with shapes whose masks are known at every point of the plane."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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


@dataclass(frozen=True)
class Rectangle:
    """Its borders, in image pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def covers(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x > self.left) & (x < self.right) & (y > self.top) & (y < self.bottom)

    def box(self) -> list[float]:
        return [self.left, self.top, self.right, self.bottom]


Shapes = Sequence[Ellipse | Rectangle]


def ellipses(rng: np.random.Generator, size: tuple[int, int], count: int) -> list[Ellipse]:
    """All of them within the image."""
    height, width = size
    made = []
    for _ in range(count):
        a, b = rng.uniform(2, width / 3), rng.uniform(2, height / 3)
        made.append(Ellipse(rng.uniform(a, width - a), rng.uniform(b, height - b), a, b))
    return made


def rectangles(rng: np.random.Generator, size: tuple[int, int], count: int) -> list[Rectangle]:
    """All of them within the image, borders of it included."""
    height, width = size
    made = []
    for _ in range(count):
        left, right = np.sort(rng.choice(width + 1, 2, replace=False)).tolist()
        top, bottom = np.sort(rng.choice(height + 1, 2, replace=False)).tolist()
        made.append(Rectangle(left, top, right, bottom))
    return made


def centres(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the centre of each pixel, (h, w) each."""
    x, y = np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5)
    return x, y


def scene(rng: np.random.Generator, size: tuple[int, int], shapes: Shapes) -> View:
    """A smooth image; each label once, and the crowd flag a function of the label."""
    height, width = size
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3))
    image = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width].astype(np.uint8)
    covered = [shape.covers(*centres(size)).astype(np.uint8) for shape in shapes]
    masks = tuple(coco.encode(np.asfortranarray(mask)) for mask in covered)
    boxes = np.array([shape.box() for shape in shapes], np.float64).reshape(-1, 4)
    labels = rng.permutation(len(shapes)).astype(np.int64)
    return View(image, boxes, masks, labels, labels % 3 == 0)


def decoded(mask: Rle) -> np.ndarray:
    """(h, w) of 0 and 1, by pycocotools, which asks NumPy in a way that it will not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.asarray(coco.decode(mask))
