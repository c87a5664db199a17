"""Images with parts hidden, the same parts whatever the batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def hidden(images: Tensor, first: int, ratio: float, unit: int, mean: Tensor, seed: int) -> Tensor:
    """Images with squares of their pixels in one colour, so that any encoder can be shown them.

    Args:
        images: (B,3,H,W) in [0,1].
        first: the number of the first of them: an image's squares depend on its number and `seed`.
        ratio: share of the squares that is hidden, rounded to whole ones; at least one is, and at
            least one is not.
        unit: side of a square in pixels.
        mean: (1,3,1,1), the colour: where it is the encoder's mean, hidden pixels are 0 to it.
        seed: of the draws.
    """
    rows, columns = (-(-side // unit) for side in images.shape[2:])
    count = min(max(1, round(ratio * rows * columns)), rows * columns - 1)
    masks = np.zeros((len(images), rows * columns), dtype=bool)
    for k, mask in enumerate(masks):
        mask[np.random.default_rng((seed, first + k)).permutation(rows * columns)[:count]] = True
    cells = torch.from_numpy(masks).view(-1, 1, rows, columns).to(images.device)
    pixels = cells.repeat_interleave(unit, 2).repeat_interleave(unit, 3)
    return torch.where(pixels[:, :, : images.shape[2], : images.shape[3]], mean, images)
