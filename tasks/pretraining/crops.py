"""Random crops and mirror images, as torchvision's RandomResizedCrop on Pillow images does it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.pretraining.settings import AugmentationRecipe

Size = tuple[int, int]
_ATTEMPTS = 10
_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


class Crop(NamedTuple):
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int


def random_crop(size: Size, recipe: AugmentationRecipe, rng: np.random.Generator) -> Crop:
    """A crop of an image of `size` (height, width): its area uniform in `recipe.scale` of the
    image's, its width over height log-uniform in `recipe.ratio` (Szegedy et al. 2015, section 6).

    After ten draws that do not fit, the largest central crop of an allowed shape.
    """
    height, width = size
    narrow, wide = (math.log(bound) for bound in recipe.ratio)
    for _ in range(_ATTEMPTS):
        area = height * width * rng.uniform(*recipe.scale)
        ratio = math.exp(rng.uniform(narrow, wide))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(rng.integers(height - h + 1))
            return Crop(top, int(rng.integers(width - w + 1)), h, w)
    ratio = min(max(width / height, recipe.ratio[0]), recipe.ratio[1])
    return central_crop(size, ratio)


def central_crop(size: Size, ratio: float) -> Crop:
    """The largest crop in the middle of an image of `size` with this width over height."""
    height, width = size
    h = min(height, round(width / ratio))
    w = min(width, round(height * ratio))
    return Crop((height - h) // 2, (width - w) // 2, h, w)


def middle(image: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The central part of `image` (H,W,3) with `share` of each side."""
    height, width = image.shape[0], image.shape[1]
    h, w = max(1, round(height * share)), max(1, round(width * share))
    top, left = (height - h) // 2, (width - w) // 2
    return image[top : top + h, left : left + w]


def cut(image: NDArray[np.uint8], crop: Crop, size: Size, interpolation: str) -> NDArray[np.uint8]:
    """The crop of `image` (H,W,3) at `size` (height, width), antialiased as Pillow does it."""
    top, left, height, width = crop
    part = image[top : top + height, left : left + width]
    if part.shape[:2] == size:
        return part
    resized = Image.fromarray(part).resize(size[::-1], _RESAMPLING[interpolation])
    return np.asarray(resized)


def view(
    image: NDArray[np.uint8],
    recipe: AugmentationRecipe,
    size: Size,
    rng: np.random.Generator | None,
) -> NDArray[np.uint8]:
    """A view of the middle of `image` (H,W,3) at `size` (height, width): with a generator a random
    crop of it, perhaps mirrored; with None its largest central part."""
    image = middle(image, recipe.centre)
    whole = image.shape[0], image.shape[1]
    if rng is None:
        return cut(image, central_crop(whole, size[1] / size[0]), size, recipe.interpolation)
    seen = cut(image, random_crop(whole, recipe, rng), size, recipe.interpolation)
    return seen[:, ::-1] if rng.random() < recipe.flip else seen
