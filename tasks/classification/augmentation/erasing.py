"""Random erasing (Zhong et al. 2020) as timm has it: where is drawn a sample, what a key."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.classification.augmentation.settings import ErasingRecipe
    from tasks.crops import Size

_ATTEMPTS = 10


def draw(size: Size, recipe: ErasingRecipe | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rectangles to erase from an image of `size` (height, width).

    Each has an area uniform in the recipe's range, divided by their number, and a height over width
    that is log-uniform in its range; one that fits in none of ten draws is left out.

    Returns:
        (recipe.count,4) top, left, height, width in pixels, zeros where there is none; (0,4)
        without a recipe.
    """
    if recipe is None:
        return np.zeros((0, 4), np.int64)
    found = np.zeros((recipe.count, 4), np.int64)
    if rng.random() >= recipe.probability:
        return found
    count = int(rng.integers(1, recipe.count + 1))
    for row in range(count):
        found[row] = _rectangle(size, recipe, count, rng)
    return found


def _rectangle(
    size: Size, recipe: ErasingRecipe, count: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    height, width = size
    low, high = (math.log(bound) for bound in recipe.ratio)
    for _ in range(_ATTEMPTS):
        area = height * width * rng.uniform(*recipe.area) / count
        ratio = math.exp(rng.uniform(low, high))
        h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if h < height and w < width:
            top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
            return int(top), int(left), h, w
    return 0, 0, 0, 0


def fill(
    images: Tensor, erase: Tensor, keys: Tensor, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """The images with their rectangles full of noise: standard normal once the image is normalised,
    so mean + std x noise here, which may leave [0,1].

    A sample's noise depends on its key alone, not on the batch, the process or the device.

    Args:
        images: (B,3,H,W), before they are normalised.
        erase: (B,N,4) integers, as `draw` gives them.
        keys: (B,) integers.
        mean, std: three numbers each, that the encoder normalises with.

    Returns:
        (B,3,H,W), a new tensor where anything is erased.
    """
    rectangles = erase.tolist()
    rows = [row for row, found in enumerate(rectangles) if any(h and w for _, _, h, w in found)]
    if not rows:
        return images
    images = images.clone()
    shift, scale = (torch.tensor(list(values)).view(3, 1, 1) for values in (mean, std))
    for row in rows:
        generator = torch.Generator().manual_seed(int(keys[row]))
        for top, left, h, w in rectangles[row]:
            noise = shift + scale * torch.randn((3, h, w), generator=generator)
            images[row, :, top : top + h, left : left + w] = noise.to(images)
    return images
