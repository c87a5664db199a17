"""Vertical CutDepth: some columns of the image show its depth (Ishii & Yamashita 2021, in the form
of GLPDepth and MIM-Depth-Estimation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.depth.maps import Stored
    from tasks.depth.recipe import Trap


def columns(width: int, share: float, rng: np.random.Generator) -> slice:
    """Which of W columns: the first is int(a W), their number max(1, int((W - a W) b share)), with
    a and b uniform in [0,1)."""
    a, b = rng.random(2)
    first = int(a * width)
    return slice(first, first + max(1, int((width - a * width) * b * share)))


def paste(
    image: NDArray[np.uint8], depth: Stored, where: slice, rule: Trap, max_depth: float
) -> NDArray[np.uint8]:
    """The image (H,W,3) with the depth (H,W) of some columns in all channels.

    Args:
        image: not changed.
        depth: of the same size.
        where: the columns.
        rule: `published`: the stored number without its fraction, modulo 256, as it goes into 8
            bits on the usual machines. `corrected`: 0 to `max_depth` metres as 0 to 255, rounded;
            what is further away is 255.
        max_depth: in metres.
    """
    values = depth.values[:, where]
    if rule == "published":
        whole = values if values.dtype == np.uint16 else values.astype(np.int64)
        shown = whole.astype(np.uint8)  # Whole numbers wrap.
    else:
        metres = np.minimum(values / np.float32(depth.unit * max_depth), 1)
        shown = np.rint(metres * 255).astype(np.uint8)
    changed = image.copy()
    changed[:, where] = cv2.merge([shown] * 3)
    return changed
