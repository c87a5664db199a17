"""Changes of colour and sharpness, on Pillow images, drawn from numpy's generators.

The list and its probabilities: BYOL (Grill et al. 2020, appendix B), which MoCo v3 takes over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.pretraining.contrastive.recipe import ColourRecipe

_TURN = 256
"""Pillow's hues are bytes, a whole turn being 256."""


def change(
    image: NDArray[np.uint8], recipe: ColourRecipe, view: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change an image (H,W,3).

    Args:
        image: of any size.
        recipe: probabilities and ranges.
        view: 0 or 1: which of the two that an image is shown as.
        rng: decides everything.
    """
    changed = Image.fromarray(np.ascontiguousarray(image))
    if rng.random() < recipe.jitter:
        changed = _jitter(changed, recipe, rng)
    if rng.random() < recipe.grey:
        changed = changed.convert("L").convert("RGB")
    if rng.random() < recipe.blur[view]:
        changed = changed.filter(ImageFilter.GaussianBlur(rng.uniform(*recipe.blur_deviation)))
    if rng.random() < recipe.solarize[view]:
        changed = ImageOps.solarize(changed)
    return np.asarray(changed)


def _jitter(image: Image.Image, recipe: ColourRecipe, rng: np.random.Generator) -> Image.Image:
    """The four changes in an order that is drawn, too."""
    factors = {
        name: rng.uniform(1 - reach, 1 + reach)
        for name, reach in (
            ("brightness", recipe.brightness),
            ("contrast", recipe.contrast),
            ("saturation", recipe.saturation),
        )
    }
    turn = rng.uniform(-recipe.hue, recipe.hue)
    for name in rng.permutation([*factors, "hue"]):
        image = _turned(image, turn) if name == "hue" else _ENHANCE[name](image, factors[name])
    return image


def _turned(image: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shifted = (np.asarray(hue).astype(np.int32) + round(turn * _TURN)) % _TURN
    hue = Image.fromarray(shifted.astype(np.uint8))
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


_ENHANCE = {
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "saturation": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
}
