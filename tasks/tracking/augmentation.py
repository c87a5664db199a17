"""What is done to the colours of a training pair; its boxes stay where they are, no image is
mirrored (SwinTrack)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.colours import jitter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.tracking.recipe import AugmentationRecipe

    Pixels = NDArray[np.uint8]


def disturb(
    template: Pixels, search: Pixels, settings: AugmentationRecipe, rng: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """Both crops (h,w,3) with their colours changed.

    With probability `grey` both lose their colours. Then each by itself has brightness, contrast
    and saturation multiplied by factors uniform in 1 - reach to 1 + reach, not below 0, in an order
    that is drawn, too: torchvision's RandomGrayscale and ColorJitter on Pillow images.
    """
    reaches = (settings.brightness, settings.contrast, settings.saturation)
    grey = rng.random() < settings.grey
    first, second = (_disturbed(image, grey, reaches, rng) for image in (template, search))
    return first, second


def _disturbed(
    pixels: Pixels, grey: bool, reaches: tuple[float, ...], rng: np.random.Generator
) -> Pixels:
    image = Image.fromarray(pixels)
    if grey:
        image = image.convert("L").convert("RGB")
    return np.asarray(jitter(image, reaches, None, rng))
