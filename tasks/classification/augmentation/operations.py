"""The operations of RandAugment on RGB images (H,W,3), pixel for pixel as Pillow does them.

What gives each value another one, whatever stands beside it, is a table of 256 values a channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageEnhance

from tasks.crops import RESAMPLING

if TYPE_CHECKING:
    from numpy.typing import NDArray

Colour = tuple[int, int, int]

_VALUES = np.arange(256)
_RAMP = Image.fromarray(_VALUES.astype(np.uint8)[None])


def autocontrast(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Spread each channel from its least to its greatest value over 0 to 255."""
    tables = []
    for counts in _histograms(image):
        found = np.flatnonzero(counts)
        low, high = int(found[0]), int(found[-1])
        scale = 255 / (high - low) if high > low else 1.0
        offset = -low * scale if high > low else 0.0
        tables.append(np.clip(np.trunc(_VALUES * scale + offset), 0, 255))
    return _by_tables(image, tables)


def equalize(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make the values of each channel about equally frequent."""
    tables = []
    for counts in _histograms(image):
        found = np.flatnonzero(counts)
        step = (int(counts.sum()) - int(counts[found[-1]])) // 255
        below = np.cumsum(counts) - counts
        tables.append(np.minimum((step // 2 + below) // step, 255) if step else _VALUES)
    return _by_tables(image, tables)


def invert(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take each value from 255."""
    return np.uint8(255) - image


def posterize(image: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Keep the highest bits of each value; none leave black."""
    return image & np.uint8(256 - 2 ** (8 - bits))


def solarize(image: NDArray[np.uint8], threshold: int) -> NDArray[np.uint8]:
    """Take each value from `threshold` on from 255."""
    return _by_table(image, np.where(threshold > _VALUES, _VALUES, 255 - _VALUES))


def solarize_add(image: NDArray[np.uint8], add: int) -> NDArray[np.uint8]:
    """Brighten values below 128."""
    return _by_table(image, np.where(_VALUES < 128, np.minimum(_VALUES + add, 255), _VALUES))


def brightness(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Go from black (0) through the image (1) beyond it."""
    return _by_table(image, np.asarray(ImageEnhance.Brightness(_RAMP).enhance(factor))[0])


def contrast(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Go from the image's mean grey (0) through the image (1) beyond it."""
    grey = np.asarray(Image.fromarray(image).convert("L"))
    mean = int(int(grey.sum(dtype=np.int64)) / grey.size + 0.5)
    blended = Image.blend(Image.new("L", _RAMP.size, mean), _RAMP, factor)
    return _by_table(image, np.asarray(blended)[0])


def colour(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Go from grey (0) through the image (1) beyond it."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(factor))


def sharpness(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Go from a blurred image (0) through the image (1) beyond it."""
    return np.asarray(ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor))


def rotate(
    image: NDArray[np.uint8], degrees: float, fill: Colour, interpolation: str
) -> NDArray[np.uint8]:
    """Turn about the middle, counter-clockwise."""
    turned = Image.fromarray(image).rotate(
        degrees, resample=RESAMPLING[interpolation], fillcolor=fill
    )
    return np.asarray(turned)


def shear(
    image: NDArray[np.uint8],
    factors: tuple[float, float],
    shift: tuple[float, float],
    fill: Colour,
    interpolation: str,
) -> NDArray[np.uint8]:
    """Let each pixel show what was at x + f_x y + s_x, y + f_y x + s_y, with the `factors` f and
    the `shift` s in pixels."""
    matrix = (1, factors[0], shift[0], factors[1], 1, shift[1])
    whole = Image.fromarray(image)
    moved = whole.transform(
        whole.size,
        Image.Transform.AFFINE,
        matrix,
        resample=RESAMPLING[interpolation],
        fillcolor=fill,
    )
    return np.asarray(moved)


def _histograms(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each value is there, (3,256)."""
    return np.array(Image.fromarray(image).histogram(), np.int64).reshape(3, 256)


def _by_table(image: NDArray[np.uint8], table: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)), dtype=np.uint8)


def _by_tables(image: NDArray[np.uint8], tables: list[NDArray[np.int64]]) -> NDArray[np.uint8]:
    table = np.stack(tables, -1).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), dtype=np.uint8)
