"""Training and test views of an image, as torchvision and timm make them of Pillow images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from tasks.classification.augmentation import erasing, randaugment
from tasks.crops import RESAMPLING, Crop, Size, cut, random_crop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.classification.augmentation.settings import AugmentationRecipe

_REACH = {"bilinear": 1, "bicubic": 2}
"""Pixels to each side that a value depends on, when the image is not made smaller."""


def fixed(recipe: AugmentationRecipe) -> bool:
    """Whether every training view is the test view, so that features may be kept."""
    return not (recipe.crop or recipe.flip or recipe.rand_augment or recipe.erasing)


def train_view(
    image: NDArray[np.uint8],
    size: Size,
    recipe: AugmentationRecipe,
    rng: np.random.Generator,
    crop_share: float = 1.0,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A random view; nothing is drawn for what the recipe leaves out.

    Args:
        image: (H,W,3) RGB.
        size: height and width of the view.
        recipe: what is done.
        rng: decides everything.
        crop_share: as in `test_view`, which a view without a random crop begins as.

    Returns:
        The view (h,w,3), and the rectangles (N,4) that `erasing.fill` is to erase from it.
    """
    if recipe.crop is None:
        view = test_view(image, size, crop_share, recipe.interpolation)
    else:
        whole = image.shape[0], image.shape[1]
        crop = random_crop(whole, recipe.crop.scale, recipe.crop.ratio, rng)
        by = cut if recipe.resampler == "pillow" else _cut_by_torch
        view = by(image, crop, size, recipe.interpolation)
    if recipe.flip and rng.random() < recipe.flip:
        view = view[:, ::-1]
    view = np.ascontiguousarray(view)
    if recipe.rand_augment is not None:
        view = randaugment.augment(view, recipe.rand_augment, recipe.interpolation, rng)
    return view, erasing.draw(size, recipe.erasing, rng)


def _cut_by_torch(
    image: NDArray[np.uint8], crop: Crop, size: Size, interpolation: str
) -> NDArray[np.uint8]:
    """As `tasks.crops.cut`, with the same filter in 16 bits where Pillow's has 22."""
    top, left, height, width = crop
    part = np.ascontiguousarray(image[top : top + height, left : left + width])
    pixels = torch.from_numpy(part).permute(2, 0, 1)[None]
    resized = interpolate(pixels, size, mode=interpolation, antialias=True)
    return np.asarray(resized[0].permute(1, 2, 0).numpy())


def test_view(
    image: NDArray[np.uint8], size: Size, crop_share: float, interpolation: str
) -> NDArray[np.uint8]:
    """The middle of the image, resized so that `size` is `crop_share` of its shorter side.

    Args:
        image: (H,W,3) RGB.
        size: height and width of the view.
        crop_share: 224/256 in most publications; 1: the shorter side is as long as the view's.
        interpolation: bilinear or bicubic, antialiased.

    Returns:
        (h,w,3), the pixels that Pillow gives when it resizes the whole and then crops.
    """
    whole = resized_size((image.shape[0], image.shape[1]), size, crop_share)
    # Python's rounding to even numbers, as in torchvision's CenterCrop.
    top, left = round((whole[0] - size[0]) / 2), round((whole[1] - size[1]) / 2)
    return _part_of_resized(image, whole, Crop(top, left, *size), interpolation)


def resized_size(image: Size, size: Size, crop_share: float) -> Size:
    """The size of the whole image of which the view is cut.

    Its sides are `size` / `crop_share`, rounded down (SimMIM, MAE, timm). For a square view the
    shorter side has this length and the longer one is rounded down (torchvision's Resize); for
    another the image is scaled until both sides reach theirs, and rounded (timm's ResizeKeepRatio).
    """
    target = math.floor(size[0] / crop_share), math.floor(size[1] / crop_share)
    height, width = image
    if target[0] == target[1]:
        short, long = min(image), max(image)
        longer = int(target[0] * long / short)
        return (longer, target[0]) if width <= height else (target[0], longer)
    ratio = min(height / target[0], width / target[1])
    return round(height / ratio), round(width / ratio)


def _part_of_resized(
    image: NDArray[np.uint8], whole: Size, part: Crop, interpolation: str
) -> NDArray[np.uint8]:
    """`part` of the image resized to `whole`, without computing the rest.

    Pillow resizes rows first and columns then. So each row is resized whole, but only the rows that
    the part depends on, and each column whole, but only those of the part.
    """
    height, resampling = image.shape[0], RESAMPLING[interpolation]
    scale = height / whole[0]
    reach = _REACH[interpolation] * max(1.0, scale) + 1
    first = max(0, math.floor(part.top * scale - reach))
    last = min(height, math.ceil((part.top + part.height) * scale + reach))
    rows = Image.fromarray(image[first:last]).resize((whole[1], last - first), resampling)
    columns = Image.new("RGB", (part.width, height))
    columns.paste(rows.crop((part.left, 0, part.left + part.width, last - first)), (0, first))
    resized = columns.resize((part.width, whole[0]), resampling)
    return np.asarray(resized.crop((0, part.top, part.width, part.top + part.height)))
