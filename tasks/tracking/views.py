"""Frames with boxes on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Colour = tuple[int, int, int]

TRUE: Colour = (240, 228, 66)
FOUND: Colour = (213, 94, 0)
AREA: Colour = (255, 255, 255)
RIM: Colour = (0, 0, 0)
"""Yellow and vermilion of Okabe and Ito's palette, one much lighter than the other; and dashes tell
them apart as well. A dark rim keeps all visible on any ground."""
OUTSIDE: Colour = (204, 204, 204)
"""Of a search area, what lies beyond the image."""

_DASH = 10
"""Pixels from one dash to the next; two thirds are drawn."""
_SLENDER = 12
"""A line is no wider than this part of the box's shorter side."""


class Mark(NamedTuple):
    """A box to be drawn: (4,) x, y, width, height in pixels of the image; none where it is NaN."""

    box: Floats
    colour: Colour
    dashed: bool = False
    width: int = 3


def view(image: NDArray[np.uint8], marks: list[Mark], height: int, width: int) -> Image.Image:
    """An image (H,W,3) with boxes, as large as it fits into height x width pixels, shape kept."""
    scale = min(height / image.shape[0], width / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    canvas = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    factors = np.array([size[0] / image.shape[1], size[1] / image.shape[0]] * 2)
    outline(canvas, [mark._replace(box=mark.box * factors) for mark in marks])
    return canvas


def outline(canvas: Image.Image, marks: list[Mark]) -> None:
    """Draw boxes in the canvas' own pixels, the last on top. The line lies inside the box."""
    pen = ImageDraw.Draw(canvas)
    for mark in marks:
        if not np.isfinite(mark.box).all():
            continue
        x, y, w, h = mark.box.tolist()
        left, top = round(x), round(y)
        right, bottom = max(left + 2, round(x + w)) - 1, max(top + 2, round(y + h)) - 1
        corners = (left, top, right, bottom)
        # A thick line would hide a small target.
        wide = max(1, min(mark.width, (right - left) // _SLENDER, (bottom - top) // _SLENDER))
        if mark.dashed:
            _dashes(pen, corners, mark.colour, wide)
            continue
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=RIM, width=wide + 2)
        pen.rectangle(corners, outline=mark.colour, width=wide)


def _dashes(
    pen: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], colour: Colour, wide: int
) -> None:
    left, top, right, bottom = corners
    deep, on = wide - 1, 2 * _DASH // 3
    for rim, ink in ((1, RIM), (0, colour)):
        for start in range(left, right + 1, _DASH):
            end = min(start + on - 1, right)
            for y in (top, bottom - deep):
                pen.rectangle((start - rim, y - rim, end + rim, y + deep + rim), fill=ink)
        for start in range(top, bottom + 1, _DASH):
            end = min(start + on - 1, bottom)
            for x in (left, right - deep):
                pen.rectangle((x - rim, start - rim, x + deep + rim, end + rim), fill=ink)
