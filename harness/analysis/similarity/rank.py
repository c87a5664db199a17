"""How much of their space pooled features fill."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_ROWS = 512


def effective_rank(features: Tensor) -> float:
    """The exponential of the entropy of the singular values, which are divided by their sum, of the
    features (n,C) without their mean: from 1, all along one direction, to min(n-1,C) (Roy and
    Vetterli 2007, definition 1; that definition does not centre, but a common mean would count as
    a direction). 0 where the images do not differ.
    """
    values = features.double()
    singular: Tensor = torch.linalg.svdvals(values - values.mean(dim=0))
    total = singular.sum()
    if total == 0:
        return 0.0
    shares = singular / total
    return float(torch.special.entr(shares).sum().exp())


def uniformity(features: Tensor) -> float:
    """The logarithm of the mean of exp(-2 |x - y|^2) over all pairs of different images, x and y
    their features (n,C) brought to length 1: 0 where all are one point, lower the more evenly they
    fill the sphere (Wang and Isola 2020, equation 2, t = 2)."""
    points = functional.normalize(features.double(), dim=1)
    n = len(points)
    total = torch.zeros((), dtype=torch.float64, device=points.device)
    for start in range(0, n, _ROWS):
        rows = points[start : start + _ROWS]
        distances = (2 - 2 * rows @ points.T).clamp(min=0)
        total += torch.exp(-2 * distances).sum()
    # Each image lies at distance 0 of itself.
    return float(torch.log((total - n).clamp(min=0) / (n * (n - 1))))
