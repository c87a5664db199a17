"""Changes of colour and sharpness, on Pillow images, drawn from numpy's generators.

The list and its probabilities: BYOL (Grill et al. 2020, appendix B), which MoCo v3 takes over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from tasks.colours import jitter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.pretraining.contrastive.recipe import ColourRecipe


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
        factors = (recipe.brightness, recipe.contrast, recipe.saturation)
        changed = jitter(changed, factors, recipe.hue, rng)
    if rng.random() < recipe.grey:
        changed = changed.convert("L").convert("RGB")
    if rng.random() < recipe.blur[view]:
        changed = changed.filter(ImageFilter.GaussianBlur(rng.uniform(*recipe.blur_deviation)))
    if rng.random() < recipe.solarize[view]:
        changed = ImageOps.solarize(changed)
    return np.asarray(changed)
