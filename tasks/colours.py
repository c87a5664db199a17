"""Random brightness, contrast, saturation and hue of Pillow images, for any task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageEnhance

if TYPE_CHECKING:
    from collections.abc import Sequence

_TURN = 256
"""Pillow's hues are bytes, a whole turn being 256."""

_ENHANCE = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def jitter(
    image: Image.Image, reaches: Sequence[float], hue: float | None, rng: np.random.Generator
) -> Image.Image:
    """Change an RGB image by factors and a turn of the hue, in an order that is drawn, too.

    Args:
        image: of any size.
        reaches: of brightness, contrast and saturation: factors are in 1 - reach to 1 + reach, not
            below 0.
        hue: largest turn either way, as a share of a whole one; None leaves the way over Pillow's
            hues out, which changes colours a little even without a turn.
        rng: decides everything.
    """
    factors = [rng.uniform(max(0, 1 - reach), 1 + reach) for reach in reaches]
    turn = 0.0 if hue is None else rng.uniform(-hue, hue)
    for number in rng.permutation(len(factors) + (hue is not None)):
        if number == len(factors):
            image = _turned(image, turn)
        else:
            image = _ENHANCE[number](image).enhance(factors[number])
    return image


def _turned(image: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shifted = (np.asarray(hue).astype(np.int32) + round(turn * _TURN)) % _TURN
    hue = Image.fromarray(shifted.astype(np.uint8))
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
