"""Brightness, contrast, gamma, hue, saturation and value of 8-bit images.

The formulas are those of albumentations 1.1.0, which the published recipe uses with its defaults.
Each step is a table over the 256 values; what it gives is cut to 0 to 255 and its fraction dropped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.depth.recipe import AugmentationRecipe

    Table = NDArray[np.uint8]

_VALUES = np.arange(256)
_HUES = 180
"""OpenCV's hues in 8 bits are half degrees."""


def disturb(
    image: NDArray[np.uint8], settings: AugmentationRecipe, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The image (H,W,3) with its colours changed, each step with its own probability.

    Nothing is drawn for what the recipe leaves out.
    """
    table = None
    if _drawn(settings.brightness_contrast, rng):
        brightness = rng.uniform(-settings.brightness, settings.brightness)
        contrast = rng.uniform(-settings.contrast, settings.contrast)
        table = brightness_contrast(brightness, contrast)
    if _drawn(settings.gamma, rng):
        low, high = settings.gamma_range
        powers = gamma(int(rng.integers(low, high + 1)) / 100)
        table = powers if table is None else powers[table]
    if table is not None:
        image = np.asarray(cv2.LUT(image, table), np.uint8)
    if _drawn(settings.hue_saturation, rng):
        reach = np.array((settings.hue, settings.saturation, settings.value))
        image = shift_hsv(image, *rng.uniform(-reach, reach).tolist())
    return image


def _drawn(probability: float, rng: np.random.Generator) -> bool:
    return probability > 0 and rng.random() < probability


def brightness_contrast(brightness: float, contrast: float) -> Table:
    """v -> v (1 + contrast) + 255 brightness, in single precision."""
    changed = _VALUES.astype(np.float32) * np.float32(1 + contrast) + np.float32(255 * brightness)
    return np.asarray(np.clip(changed, 0, 255), np.uint8)


def gamma(power: float) -> Table:
    """v -> 255 (v / 255)^power, v / 255 taken as v times 1/255: so 1 does not leave all values."""
    return np.asarray(255 * (_VALUES * (1 / 255)) ** power, np.uint8)


def shift_hsv(
    image: NDArray[np.uint8], hue: float, saturation: float, value: float
) -> NDArray[np.uint8]:
    """Add to hue (modulo 180), saturation and value (0 to 255) in OpenCV's 8-bit HSV."""
    h, s, v = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    h = cv2.LUT(h, np.asarray(np.mod(_VALUES + hue, _HUES), np.uint8))
    s, v = _added(s, saturation), _added(v, value)
    return np.asarray(cv2.cvtColor(cv2.merge((h, s, v)), cv2.COLOR_HSV2RGB), np.uint8)


def _added(plane: NDArray[Any], shift: float) -> NDArray[Any]:
    """The sum, cut to 0 to 255; of whole numbers it is the same to drop the shift's fraction."""
    return np.asarray(cv2.add(plane, np.array([math.floor(shift)], np.float64)))
