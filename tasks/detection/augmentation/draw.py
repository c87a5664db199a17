"""What is done to an image in training, drawn at random, and in evaluation."""

from __future__ import annotations

import numpy as np

from tasks.contract import RecipeError
from tasks.crops import Crop
from tasks.detection.augmentation import sizes
from tasks.detection.augmentation.geometry import Geometry, Mirror, whole
from tasks.detection.augmentation.view import Size
from tasks.detection.recipe import AugmentationRecipe, EvaluationRecipe

_CROPPED = 0.5
"""Share of the visits that `resize_crop` crops (Carion et al. 2020, section 4)."""


def check(recipe: AugmentationRecipe | EvaluationRecipe, canvas: Size) -> None:
    """See that no image can come out larger than the canvas.

    Raises:
        RecipeError: it can, or only one of two sides is given for evaluation.
    """
    if isinstance(recipe, AugmentationRecipe):
        section, long = "augmentation", recipe.max_long_side
        if recipe.mode in ("fit", "jitter"):
            return
    else:
        section = "evaluation"
        if (recipe.short_side is None) != (recipe.max_long_side is None):
            raise RecipeError(
                "`evaluation` has one of `short_side` and `max_long_side`: give both, or neither "
                "to fit images into the canvas"
            )
        if recipe.max_long_side is None:
            return
        long = recipe.max_long_side
    if long > min(canvas):
        raise RecipeError(
            f"`{section}.max_long_side` is {long}, but the canvas is {canvas[0]}x{canvas[1]}: "
            f"`backbone.input_size` must be at least {long} both ways"
        )


def training(
    size: Size, recipe: AugmentationRecipe, canvas: Size, rng: np.random.Generator
) -> Geometry:
    """A visit in training of an image of `size`.

    The order of mirror and sizes is that of the published code: mmdet's schedules of one size
    mirror last, Swin's code and detectron2 first.
    """
    mirrored = rng.random() < recipe.flip
    first: Mirror = "first" if mirrored else "never"
    if recipe.mode == "jitter":
        return _jitter(size, recipe, canvas, rng, first)
    if recipe.mode == "resize_crop":
        return _resize_crop(size, recipe, rng, first)
    if recipe.mode == "resize":
        extent = sizes.bounded(size, _one_of(recipe.short_sides, rng), recipe.max_long_side)
        return Geometry(size, extent, whole(extent), extent, "last" if mirrored else "never")
    extent = sizes.fitted(size, canvas)
    return Geometry(size, extent, whole(extent), extent, first)


def evaluation(size: Size, recipe: EvaluationRecipe, canvas: Size) -> Geometry:
    """How evaluation sees an image of `size`."""
    if recipe.short_side is None or recipe.max_long_side is None:
        extent = sizes.fitted(size, canvas)
    else:
        extent = sizes.bounded(size, recipe.short_side, recipe.max_long_side)
    return Geometry(size, extent, whole(extent), extent)


def _resize_crop(
    size: Size, recipe: AugmentationRecipe, rng: np.random.Generator, mirror: Mirror
) -> Geometry:
    """Swin's schedules (Liu et al. 2021, section 4.2, after DETR): mmdet's `Resize`, and in half of
    the visits `Resize` and `RandomCrop` of the type `absolute_range` before it."""
    scaled, window = size, whole(size)
    if rng.random() < _CROPPED:
        side = _one_of(recipe.first_short_sides, rng)
        scaled = sizes.bounded(size, side, recipe.max_long_side)
        low, high = recipe.crop_range
        height, width = (int(rng.integers(min(side, low), min(side, high) + 1)) for side in scaled)
        top, left = (
            int(rng.integers(side - cut + 1))
            for side, cut in zip(scaled, (height, width), strict=True)
        )
        window = Crop(top, left, height, width)
    side = _one_of(recipe.short_sides, rng)
    extent = sizes.bounded((window.height, window.width), side, recipe.max_long_side)
    return Geometry(size, scaled, window, extent, mirror)


def _jitter(
    size: Size,
    recipe: AugmentationRecipe,
    canvas: Size,
    rng: np.random.Generator,
    mirror: Mirror,
) -> Geometry:
    """Large-scale jitter (Ghiasi et al. 2021, section 3): detectron2's `ResizeScale` and
    `FixedSizeCrop`, which draws one number for the place along both axes."""
    scaled = sizes.jittered(size, canvas, rng.uniform(*recipe.jitter_range))
    height, width = min(scaled[0], canvas[0]), min(scaled[1], canvas[1])
    place = rng.uniform()
    top, left = round((scaled[0] - height) * place), round((scaled[1] - width) * place)
    return Geometry(size, scaled, Crop(top, left, height, width), (height, width), mirror)


def _one_of(sides: tuple[int, ...], rng: np.random.Generator) -> int:
    return sides[int(rng.integers(len(sides)))]
