"""Boxes of annotation files, checked."""

from __future__ import annotations

from reprlib import repr as short
from typing import TYPE_CHECKING, Any

from tasks.detection.mending import Mending, Rule
from tasks.json_files import finite

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDING = 1.0
"""Pixels by which a box may reach out of its image: tools round edges."""


def checked(box: Any, size: Sequence[int], who: str, mending: Mending) -> list[float] | None:
    """A box that lies in its image and has an area, or None where the object is left out.

    Args:
        box: x, y, width, height in pixels, as in the file.
        size: width and height of the image.
        who: whose it is.
        mending: decides what becomes of others.

    Raises:
        DataError: a box that is none, and nothing may be mended.
    """
    if not isinstance(box, list) or len(box) != 4 or not finite(box):
        problem = f"{who} has the box {short(box)}, four numbers are needed (x, y, width, height)"
        mending.mend(Rule.NO_BOX, problem)
        return None
    x, y, w, h = box
    if w <= 0 or h <= 0:
        mending.mend(Rule.NO_AREA, f"{who} has a box of no area, {box}")
        return None
    width, height = size
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        problem = f"{who} has a box outside its image of {width}x{height} pixels, {box}"
        mending.mend(Rule.OUTSIDE, problem)
        return None
    if max(-x, -y, x + w - width, y + h - height) > ROUNDING:
        problem = f"{who} has a box that reaches out of its image of {width}x{height} pixels, {box}"
        mending.mend(Rule.CLIPPED, problem)
        left, top = max(x, 0), max(y, 0)
        return [left, top, min(x + w, width) - left, min(y + h, height) - top]
    return box
