"""RandAugment (Cubuk et al. 2020) with timm's operations, strengths and distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.classification.augmentation import operations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.classification.augmentation.settings import RandAugmentRecipe

OPERATIONS = (
    "autocontrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "solarize_add",
    "colour",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
_GREATEST = 10.0
"""The magnitude that stands for the whole range of an operation."""


class Step(NamedTuple):
    """An operation as drawn.

    Attributes:
        operation: out of `OPERATIONS`.
        magnitude: 0 to 10.
        negative: whether its argument is negated, where it has a sign.
    """

    operation: str
    magnitude: float
    negative: bool


def augment(
    image: NDArray[np.uint8],
    recipe: RandAugmentRecipe,
    interpolation: str,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """The image (H,W,3) after as many operations as the recipe says, drawn from `rng`."""
    for step in draw(recipe, rng):
        image = apply(image, step, recipe, interpolation)
    return image


def draw(recipe: RandAugmentRecipe, rng: np.random.Generator) -> list[Step]:
    """The operations that are applied, in order. In distribution as timm's: each is any of the
    fifteen, is left out with the recipe's probability, has a magnitude of its own and either sign
    with equal probability."""
    steps = []
    for number in rng.integers(len(OPERATIONS), size=recipe.num_layers):
        if rng.random() >= recipe.probability:
            continue
        magnitude = recipe.magnitude
        if recipe.std:
            magnitude = min(max(rng.normal(magnitude, recipe.std), 0.0), _GREATEST)
        steps.append(Step(OPERATIONS[number], magnitude, bool(rng.random() < 0.5)))
    return steps


def apply(
    image: NDArray[np.uint8], step: Step, recipe: RandAugmentRecipe, interpolation: str
) -> NDArray[np.uint8]:
    """The image (H,W,3) after one operation."""
    share, sign = step.magnitude / _GREATEST, -1 if step.negative else 1
    growing, moved = recipe.increasing, (recipe.fill, interpolation)
    height, width = image.shape[:2]
    match step.operation:
        case "autocontrast":
            return operations.autocontrast(image)
        case "equalize":
            return operations.equalize(image)
        case "invert":
            return operations.invert(image)
        case "rotate":
            return operations.rotate(image, sign * (share * 30), *moved)
        case "posterize":
            bits = int(share * 4)
            return operations.posterize(image, 4 - bits if growing else bits)
        case "solarize":
            threshold = min(256, int(share * 256))
            return operations.solarize(image, 256 - threshold if growing else threshold)
        case "solarize_add":
            return operations.solarize_add(image, min(128, int(share * 110)))
        case "shear_x":
            return operations.shear(image, (sign * (share * 0.3), 0.0), (0.0, 0.0), *moved)
        case "shear_y":
            return operations.shear(image, (0.0, sign * (share * 0.3)), (0.0, 0.0), *moved)
        case "translate_x":
            return operations.shear(image, (0.0, 0.0), (sign * (share * 0.45) * width, 0.0), *moved)
        case "translate_y":
            return operations.shear(
                image, (0.0, 0.0), (0.0, sign * (share * 0.45) * height), *moved
            )
    factor = max(0.1, 1 + sign * (share * 0.9)) if growing else share * 1.8 + 0.1
    match step.operation:
        case "colour":
            return operations.colour(image, factor)
        case "contrast":
            return operations.contrast(image, factor)
        case "brightness":
            return operations.brightness(image, factor)
        case "sharpness":
            return operations.sharpness(image, factor)
    raise ValueError(f"RandAugment has no operation `{step.operation}`")
