"""Pictures of images with a line of text below each."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from tasks.contract import TaskDataset

PICTURED = 6
_LINE, _LETTER = 16, 6


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
    width = pixels.shape[1] // len(first)
    texts = [wrap(text, width // _LETTER) or [""] for _, text in first]
    height = pixels.shape[0] + _LINE * max(map(len, texts))
    sheet = Image.new("RGB", (pixels.shape[1], height), "white")
    sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)))
    pen = ImageDraw.Draw(sheet)
    for k, lines in enumerate(texts):
        pen.text((k * width + 2, pixels.shape[0] + 2), "\n".join(lines), fill="black")
    return sheet
