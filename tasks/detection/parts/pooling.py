"""Features of regions: RoIAlign from the level of the pyramid that a region's side belongs to.

It is linear in rows and in columns apart, so that its way back can be two products of matrices. On
a CPU and small maps they take a fraction of the time that torchvision's loop over samples does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tasks.openmmlab.operators import roi_align

FINEST = 14
"""Regions of side below 2 x 14 cells of the finest map are taken from it (Lin et al. 2017, 4.2: a
side of 224 pixels belongs to stride 16)."""

SMALL = 64
"""Largest side of a map, in cells, for which products are taken: there they are still twice as
fast."""


def pool(maps: list[Tensor], rois: Tensor, strides: tuple[float, ...], size: int) -> Tensor:
    """Features (R, C, size, size) of regions (R, 5), each from one of `maps` (B, C, h, w).

    In full precision: half of it would round coordinates to whole pixels and more.

    Args:
        rois: number of the image, in rising order, and x1, y1, x2, y2 in pixels.
        strides: of the first maps; a region comes from one of these.
    """
    side = ((rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])).sqrt()
    level = (side / (FINEST * strides[0]) + 1e-6).log2().floor().clamp(0, len(strides) - 1)
    order, parts = [], []
    for number, stride in enumerate(strides):
        rows = (level == number).nonzero()[:, 0]
        if len(rows):
            whole = maps[number].float()
            small = whole.device.type == "cpu" and max(whole.shape[2:]) <= SMALL
            pooled = Pooled.apply if small else roi_align
            order.append(rows)
            parts.append(pooled(whole, rois[rows], size, 1 / stride))
    if not parts:
        return rois.new_zeros((0, maps[0].shape[1], size, size))
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts).index_select(0, torch.cat(order).argsort())


class Pooled(torch.autograd.Function):
    """`roi_align` with as many samples a cell as it has map cells, its way back as products.

    `apply` takes a map (B, C, h, w), regions (R, 5) ordered by the number of the image, the size of
    the result and map cells a pixel.
    """

    @staticmethod
    def forward(ctx: Any, whole: Tensor, rois: Tensor, size: int, scale: float) -> Tensor:
        ctx.save_for_backward(rois)
        ctx.shape, ctx.scale = whole.shape, scale
        return roi_align(whole, rois, size, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (rois,) = ctx.saved_tensors
        images, channels, height, width = ctx.shape
        size = gradient.shape[-1]
        x1, y1, x2, y2 = (rois[:, 1:] * ctx.scale - 0.5).unbind(1)
        rows, columns = weights(y1, y2, size, height), weights(x1, x2, size, width)
        counts = rois[:, 0].long().bincount(minlength=images).tolist()
        found = gradient.new_empty((images, height, width, channels))
        parts = (torch.split(each, counts) for each in (rows, columns, gradient.movedim(1, -1)))
        for image, (y, x, own) in enumerate(zip(*parts, strict=True)):
            across = x.transpose(1, 2)[:, None] @ own
            found[image] = torch.einsum("nyh,nywc->hwc", y, across)
        return found.movedim(-1, 1), None, None, None


def weights(low: Tensor, high: Tensor, size: int, cells: int) -> Tensor:
    """What each of `cells` counts in each of `size` parts of the ranges `low` to `high` (R,).

    Samples lie evenly in a part, as many as it is cells long; between two centres they share
    linearly, up to a cell beyond the last they are its own, further off nothing.

    Returns:
        (R, size, cells), which add up to 1 inside.
    """
    part = (high - low) / size
    count = part.ceil().clamp(min=0)
    most = int(count.max()) if len(count) else 0
    number = torch.arange(most, device=low.device)
    within = (number + 0.5) / count[:, None].clamp(min=1)
    begin = torch.arange(size, device=low.device)
    at = low[:, None, None] + (begin[:, None] + within[:, None]) * part[:, None, None]
    real = (number < count[:, None])[:, None] & (at >= -1) & (at <= cells)
    share = real / count[:, None, None].clamp(min=1)
    centres = torch.arange(cells, device=low.device)
    near = (1 - (at.clamp(0, cells - 1)[..., None] - centres).abs()).clamp(min=0)
    return (near * share[..., None]).sum(2)
