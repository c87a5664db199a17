"""Pictures of what was filled in, beside what was hidden; of images with a line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from tasks.pretraining.fillers import harmonic

if TYPE_CHECKING:
    from tasks.contract import Row, TaskDataset
    from tasks.pretraining.data import MaskedImages

_GREY = 128
PICTURED = 6
_LINE = 16


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


def captioned(words: list[tuple[int, str]], dataset: TaskDataset) -> Image.Image:
    """The first samples as evaluation sees them, side by side, each with its words below.

    Args:
        words: (sample, its words).
        dataset: whose items have `image`, and perhaps another view of it as `other`.
    """
    first = sorted(words)[:PICTURED]
    columns = []
    for sample, _ in first:
        item = dataset.item(sample, None)
        views = [item[key].transpose(1, 2, 0) for key in ("image", "other") if key in item]
        columns.append(np.concatenate(views))
    pixels = np.concatenate(columns, axis=1)
    sheet = Image.new("RGB", (pixels.shape[1], pixels.shape[0] + _LINE), "white")
    sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)))
    pen = ImageDraw.Draw(sheet)
    width = pixels.shape[1] // len(first)
    for k, (_, text) in enumerate(first):
        pen.text((k * width + 2, pixels.shape[0] + 2), text[: width // 6], fill="black")
    return sheet
