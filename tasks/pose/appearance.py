"""What is done to the pixels of a training crop; its joints stay where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.colours import jitter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.pose.recipe import AugmentationRecipe, GridDropoutRecipe


def disturb(
    crop: NDArray[np.uint8], settings: AugmentationRecipe, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The crop (H,W,3) with its colours changed and squares of a grid blackened.

    Nothing is drawn for what the recipe leaves out.
    """
    colours, grid = settings.jitter, settings.grid_dropout
    if colours is not None:
        reaches = (colours.brightness, colours.contrast, colours.saturation)
        crop = np.array(jitter(Image.fromarray(crop), reaches, colours.hue, rng))
    if grid is not None and rng.random() < grid.probability:
        crop = np.where(_holes(crop.shape[:2], grid, rng)[..., None], np.uint8(0), crop)
    return crop


def _holes(
    shape: tuple[int, ...], grid: GridDropoutRecipe, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Where (H,W) the squares are: one a cell, the grid moved by less than what a cell keeps."""
    least, largest = (min(unit, *shape) for unit in grid.unit)
    unit = int(rng.integers(least, largest + 1))
    side = min(max(int(unit * grid.ratio), 1), unit - 1)
    rows, columns = (
        (np.arange(length) - offset) % unit < side
        for length, offset in zip(shape, rng.integers(0, unit - side + 1, 2), strict=True)
    )
    found: NDArray[np.bool_] = rows[:, None] & columns
    return found
