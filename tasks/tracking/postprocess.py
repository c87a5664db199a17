"""From a network's response to a box, after SwinTrack."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tasks.tracking.crops import clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.tracking.matching import Response

    Floats = NDArray[np.float64]


class Choice(NamedTuple):
    """The best cell of each of B search images.

    Attributes:
        boxes: (B,4) float32 centre x, centre y, width, height, as the response has them.
        confidences: (B,) float32, the score under the window, by which the cell was chosen.
        scores: (B,) float32, the network's own score of that cell.
    """

    boxes: Tensor
    confidences: Tensor
    scores: Tensor


@lru_cache(maxsize=8)
def hann(height: int, width: int, device: torch.device) -> Tensor:
    """(h,w) float32 outer product of two Hann windows that end in 0."""
    rows, columns = (torch.hann_window(side, periodic=False) for side in (height, width))
    return torch.outer(rows, columns).to(device)


def choose(response: Response, window: float) -> Choice:
    """The cell with the largest (1 - window) score + window Hann, the first among equals."""
    count, height, width = response.scores.shape
    scores = response.scores.float()
    hanning = hann(height, width, scores.device)
    windowed = (scores * (1 - window) + hanning * window).flatten(1)
    # Of equal ones `max` promises none.
    best = (windowed == windowed.amax(1, keepdim=True)).int().argmax(1)
    each = torch.arange(count, device=scores.device)
    return Choice(
        response.boxes.flatten(1, 2)[each, best].float(),
        windowed[each, best],
        scores.flatten(1)[each, best],
    )


def in_crop(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Centre x, centre y, width, height (...,4), as shares of a crop of `size` (height, width), as
    corners in its pixels."""
    pixels = boxes * np.tile(np.array(size[::-1], np.float64), 2)
    half = pixels[..., 2:] / 2
    return np.concatenate((pixels[..., :2] - half, pixels[..., :2] + half), axis=-1)


def kept(found: Floats, last: Floats, size: tuple[int, int], margin: float) -> Floats:
    """Around which box the next search area lies: (4,) corners.

    Args:
        found: (4,) corners in an image of `size` (height, width).
        last: (4,) what was kept before, and stays where nothing of `found` is left.
        margin: the box is clipped to so many pixels inside the image.
    """
    inside = clip(found, size, margin)
    return inside if (inside[2:] > inside[:2]).all() else last
