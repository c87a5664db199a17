"""Depth as the mean of a fixed list of depths, weighted pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor

FLOOR = 0.1
"""Added to each weight, so that a pixel without a positive score has the mean of all depths."""


def expected(scores: Tensor, nearest: float, farthest: float) -> Tensor:
    """Metres (B,1,h,w) from scores (B,K,h,w): the weights are relu(score) + 0.1 as shares of their
    sum, the depths K ones from `nearest` to `farthest` at equal distances (AdaBins' linear
    normalisation with fixed bins, as in the depth evaluation of DINOv2 and in probe3d)."""
    weights = scores.float().relu() + FLOOR
    depths = torch.linspace(nearest, farthest, scores.shape[1], device=scores.device)
    # No product of matrices, which would be of half precision under autocast.
    total = (weights * depths[:, None, None]).sum(1, keepdim=True)
    return total / weights.sum(1, keepdim=True)
