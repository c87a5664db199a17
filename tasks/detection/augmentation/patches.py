"""Masks on the canvas, drawn where they are and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.contract import DataError
from tasks.detection.annotations import Floats, Rle
from tasks.detection.augmentation.geometry import Geometry
from tasks.detection.augmentation.view import Pixels, Size
from tasks.detection.masks import run_lengths


@dataclass(frozen=True)
class Patch:
    """A part of the canvas that holds all of a mask.

    Attributes:
        top, left: of its first pixel.
        pixels: (h, w) of 0 and 1; may be empty.
    """

    top: int
    left: int
    pixels: Pixels

    @property
    def box(self) -> Floats | None:
        """(4,) x1, y1, x2, y2 around the mask's pixels, or None where there are none."""
        rows, columns = (np.flatnonzero(self.pixels.any(axis)) for axis in (1, 0))
        if not len(rows):
            return None
        return np.array(
            [
                self.left + columns[0],
                self.top + rows[0],
                self.left + columns[-1] + 1,
                self.top + rows[-1] + 1,
            ],
            np.float64,
        )


def draw(masks: list[Rle], geometry: Geometry) -> list[Patch]:
    """Take of each mask the pixels that come to lie on the canvas.

    Raises:
        DataError: a mask of another size than the image.
    """
    rows, columns = geometry.sources()
    patches = []
    for mask in masks:
        if tuple(mask["size"]) != geometry.size:
            raise DataError(
                f"a mask is of {mask['size'][0]}x{mask['size'][1]} pixels, but its image of "
                f"{geometry.size[0]}x{geometry.size[1]}"
            )
        x, y, pixels = _decoded(mask)
        height, width = pixels.shape
        down = np.flatnonzero((rows >= y) & (rows < y + height))
        across = np.flatnonzero((columns >= x) & (columns < x + width))
        if len(down) and len(across):
            chosen = pixels.T[columns[across] - x][:, rows[down] - y].T
            patches.append(Patch(int(down[0]), int(across[0]), chosen))
        else:
            patches.append(Patch(0, 0, np.zeros((0, 0), np.uint8)))
    return patches


def _decoded(mask: Rle) -> tuple[int, int, Pixels]:
    """The left and top border of a mask, and the pixels (h, w) within its borders.

    Several times as fast as pycocotools' `decode`, which fills the whole image.
    """
    from pycocotools import mask as coco

    x, y, width, height = coco.toBbox(mask).astype(int).tolist()
    if not width or not height:
        return 0, 0, np.zeros((0, 0), np.uint8)
    # Background and object in turn, column after column: those outside are cut off at both ends.
    runs = run_lengths(mask["counts"])
    side = mask["size"][0]
    runs[0] -= x * side
    runs[-1] -= runs.sum() - width * side
    values = np.zeros(len(runs), np.uint8)
    values[1::2] = 1
    return x, y, np.repeat(values, runs).reshape(width, side)[:, y : y + height].T


def stack(patches: list[Patch], canvas: Size) -> Pixels:
    """(m, H, W) of 0 and 1."""
    masks = np.zeros((len(patches), *canvas), np.uint8)
    for mask, patch in zip(masks, patches, strict=True):
        height, width = patch.pixels.shape
        mask[patch.top : patch.top + height, patch.left : patch.left + width] = patch.pixels
    return masks
