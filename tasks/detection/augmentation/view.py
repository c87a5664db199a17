"""An image with its objects, before and after it is brought onto the canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.detection.annotations import Bools, Floats, Ints, Rle

Size = tuple[int, int]
"""Height and width in pixels."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """An image as it is stored, and the n objects in it.

    Attributes:
        image: (h, w, 3) RGB.
        boxes: (n, 4) x1, y1, x2, y2 in image pixels; 0 is the left border of the first pixel.
        masks: of each object, in the image's size; None where there are boxes only.
        labels: (n,) rows of the categories.
        crowd: (n,) whether it stands for a group.
    """

    image: Pixels
    boxes: Floats
    masks: tuple[Rle, ...] | None
    labels: Ints
    crowd: Bools


@dataclass(frozen=True)
class Placed:
    """An image on the canvas, from its upper left corner, and the m objects that are left.

    Attributes:
        image: (H, W, 3) RGB of the canvas, zero outside the extent. In memory one colour comes
            after the other, so `image.transpose(2, 0, 1)` is contiguous.
        extent: height and width of the part that is image.
        scale: (2,) canvas pixels an image pixel, x and y.
        boxes: (m, 4) x1, y1, x2, y2 in canvas pixels, of positive area and within the extent.
        masks: (m, H, W) of 0 and 1 on the canvas; None where there are boxes only.
        labels: (m,) rows of the categories.
        crowd: (m,) whether it stands for a group.
    """

    image: Pixels
    extent: Size
    scale: Floats
    boxes: Floats
    masks: Pixels | None
    labels: Ints
    crowd: Bools
