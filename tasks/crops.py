"""Random and central crops, brought to a size as Pillow does it, for any task."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size = tuple[int, int]
"""Height and width in pixels."""

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_ATTEMPTS = 10


class Crop(NamedTuple):
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int


def random_crop(
    size: Size, scale: tuple[float, float], ratio: tuple[float, float], rng: np.random.Generator
) -> Crop:
    """A crop of an image of `size`: its area uniform in `scale` of the image's, its width over
    height log-uniform in `ratio` (Szegedy et al. 2015, section 6; torchvision's RandomResizedCrop).

    After ten draws that do not fit, the largest central crop of an allowed shape.
    """
    height, width = size
    narrow, wide = (math.log(bound) for bound in ratio)
    for _ in range(_ATTEMPTS):
        area = height * width * rng.uniform(*scale)
        shape = math.exp(rng.uniform(narrow, wide))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            top = int(rng.integers(height - h + 1))
            return Crop(top, int(rng.integers(width - w + 1)), h, w)
    return central_crop(size, min(max(width / height, ratio[0]), ratio[1]))


def central_crop(size: Size, ratio: float) -> Crop:
    """The largest crop in the middle of an image of `size` with this width over height."""
    height, width = size
    h = min(height, max(1, round(width / ratio)))
    w = min(width, max(1, round(height * ratio)))
    return Crop((height - h) // 2, (width - w) // 2, h, w)


def cut(image: NDArray[np.uint8], crop: Crop, size: Size, interpolation: str) -> NDArray[np.uint8]:
    """The crop of `image` (H,W,3) at `size`, antialiased as Pillow does it.

    Pillow's own `box` would let pixels from outside the crop into its edges.
    """
    top, left, height, width = crop
    part = image[top : top + height, left : left + width]
    if part.shape[:2] == size:
        return part
    return np.asarray(Image.fromarray(part).resize(size[::-1], RESAMPLING[interpolation]))
