"""The scale-invariant loss of logarithms, over the valid pixels of a whole batch."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from tasks.contract import Pooled
from tasks.depth.recipe import LossRecipe


def silog(predicted: Tensor, truth: Tensor, recipe: LossRecipe) -> Pooled:
    """SILog (Eigen et al. 2014; MIM-Depth-Estimation's utils/criterion.py pools it over the batch):
    sqrt(mean d^2 - share * mean(d)^2 + floor) with d = ln truth - ln predicted.

    Its sums are (3,): number of valid pixels, sum of d, sum of d^2. Without a valid pixel it is 0,
    and so is its gradient there and at a perfect prediction, where the root has none.

    Args:
        predicted: (B,1,h,w) metres, above 0.
        truth: (B,h,w) metres; valid above `recipe.min_depth`.
    """
    valid = truth > recipe.min_depth
    known = torch.where(valid, truth, 1)
    difference = known.log() - predicted[:, 0].log()
    # Millions of pixels, and a difference of two means: single precision would show.
    d = torch.where(valid, difference, 0).to(exact(predicted.device))
    sums = torch.stack([valid.sum().to(d), d.sum(), d.square().sum()])
    return Pooled(sums, partial(_root, share=recipe.share, floor=recipe.floor))


def _root(sums: Tensor, share: float, floor: float) -> Tensor:
    count, total, squares = sums.unbind()
    n = count.clamp(min=1)
    inside = squares / n - share * (total / n) ** 2 + floor
    usable = (count > 0) & (inside > 0)
    return torch.where(usable, torch.where(usable, inside, 1).sqrt(), 0)


def exact(device: torch.device) -> torch.dtype:
    """The widest type that the device has; Apple's have no double precision."""
    return torch.float32 if device.type == "mps" else torch.float64
