"""Square windows side by side over images that are wider than the encoder's input.

As test.py of MIM-Depth-Estimation has them, the columns included that they leave out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.depth.recipe import TestRecipe

UNCOVERED = 1e-3
"""Metres in columns that no window covers: there the published code divides 0 by 0, and its metrics
put this for what is no number."""


def left_edges(width: int, side: int, count: int) -> list[int]:
    """First columns of `count` windows of `side` columns in images of `width` columns: as far apart
    as whole steps of equal length allow, which may leave out columns at the right."""
    step = (width - side) // (count - 1) if count > 1 else 0
    return [step * k for k in range(count)]


def edges(width: int, side: int, recipe: TestRecipe) -> list[int]:
    """First columns of the windows that a recipe asks for; a single one where the image is no
    wider than the encoder's input."""
    if width == side:
        return [0]
    found = left_edges(width, side, recipe.windows)
    if recipe.uncovered == "corrected" and found[-1] + side < width:
        found.append(width - side)
    return found


def cut(images: Tensor, lefts: list[int], side: int) -> Tensor:
    """Windows (B,n,C,H,side) of images (B,C,H,W)."""
    return torch.stack([images[..., left : left + side] for left in lefts], dim=1)


def join(maps: Tensor, lefts: list[int], width: int) -> Tensor:
    """The mean (B,C,H,width) of windows (B,n,C,H,side), pixel by pixel of those that cover it."""
    side = maps.shape[-1]
    if lefts == [0] and side == width:
        return maps[:, 0]
    total = maps.new_zeros((len(maps), *maps.shape[2:-1], width))
    covers = maps.new_zeros(width)
    for k, left in enumerate(lefts):
        total[..., left : left + side] += maps[:, k]
        covers[left : left + side] += 1
    return torch.where(covers > 0, total / covers.clamp(min=1), UNCOVERED)
