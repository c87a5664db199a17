"""Pictures of what was filled in, beside what was hidden; of images with a line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.pretraining.fillers import harmonic

if TYPE_CHECKING:
    from tasks.contract import Row
    from tasks.pretraining.data import MaskedImages

_GREY = 128


def draw(rows: list[Row], dataset: MaskedImages) -> Image.Image:
    """A line a sample: what the encoder saw, what the model filled in, what smooth interpolation
    fills in, and the image itself."""
    pictured = sorted((row for row in rows if len(row["picture"])), key=lambda row: row["sample"])
    lines = [_line(row, dataset) for row in pictured]
    return Image.fromarray(np.concatenate(lines))


def _line(row: Row, dataset: MaskedImages) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    item = dataset.item(row["sample"], None)
    image, mask = item["image"], item["mask"]
    patch = image.shape[1] // mask.shape[0]
    hidden = mask.repeat(patch, axis=0).repeat(patch, axis=1)
    seen = np.where(hidden, np.uint8(_GREY), image)
    filled = np.array(row["picture"], dtype=np.uint8).reshape(image.shape)
    smooth = harmonic(image.astype(np.float64), hidden).clip(0, 255).astype(np.uint8)
    line = np.concatenate((seen, filled, smooth, image), axis=2)
    return np.ascontiguousarray(line.transpose(1, 2, 0))
