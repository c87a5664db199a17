"""Ridge regression of tokens in closed form, from sums that do not grow with their number.

The model is y = w'x + b(cell): one weight for all tokens and a bias for each cell of the map, so
that w = 0 is the best prediction without looking, and where a token lies is no merit of what it
holds. Within each cell x and y are centred at its means; the rest is ordinary ridge regression
(Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 3.4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STRENGTHS = tuple(10.0**power for power in range(-8, 3))
"""Strengths that are tried: what is added to the diagonal of the correlation matrix, whose mean
eigenvalue is 1."""

STILL = 1e-12
"""Share of its mean square below which a dimension's variance is rounding: it is left out."""


class Moments:
    """Sums over the tokens x of n cells and their targets y, float64.

    Memory is C (C + D) + n (C + D), however many images there are.

    Attributes:
        count: (n,) tokens of each cell; x: (n,C); y: (n,D).
        xx: (C,C); xy: (C,D); yy: (), over all cells.
    """

    count: Tensor
    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor

    def add(self, x: Tensor, y: Tensor, known: Tensor) -> None:
        """Add the tokens (B,n,C) of B images with their targets (B,n,D), but for those whose target
        is not `known` (B,n)."""
        x, y = x.double() * known[..., None], y.double() * known[..., None]
        flat = x.flatten(0, 1)
        found = {
            "count": known.sum(0).double(),
            "x": x.sum(0),
            "y": y.sum(0),
            "xx": flat.T @ flat,
            "xy": flat.T @ y.flatten(0, 1),
            "yy": y.square().sum(),
        }
        for name, value in found.items():
            setattr(self, name, getattr(self, name, 0) + value)


@dataclass(frozen=True, eq=False)
class Linear:
    """y = x weight + bias.

    Attributes:
        weight: (C,D) float64.
        bias: (n,D), of each cell.
        strength: of the ridge that it was fitted with.
    """

    weight: Tensor
    bias: Tensor
    strength: float

    def __call__(self, x: Tensor) -> Tensor:
        """Map tokens (B,n,C) to (B,n,D) float64."""
        return x.double() @ self.weight + self.bias

    def error(self, moments: Moments) -> float:
        """The mean over tokens of |y - x weight - bias|^2."""
        weight, bias = self.weight, self.bias
        cross = (weight * moments.xy).sum() + (bias * moments.y).sum()
        square = (weight * (moments.xx @ weight)).sum()
        square += (bias * (moments.count[:, None] * bias + 2 * moments.x @ weight)).sum()
        return float((moments.yy - 2 * cross + square) / moments.count.sum())


def fit(moments: Moments, strengths: Sequence[float] = STRENGTHS) -> list[Linear]:
    """The minimisers of mean |y - z w - b(cell)|^2 + strength |w|^2, one a strength, where z is x
    with each dimension brought to variance 1 within the cells; one eigendecomposition serves all.
    A cell without a token has the bias that is best for all.

    Raises:
        ValueError: no tokens, or sums that are not finite.
    """
    total = float(moments.count.sum())
    if not total or not bool(moments.xx.isfinite().all()):
        raise ValueError(f"{total:.0f} tokens, or sums that are not finite")
    mean_x, mean_y = _means(moments.x, moments.count), _means(moments.y, moments.count)
    within = (moments.xx - mean_x.T @ moments.x) / total
    variance = within.diagonal()
    moving = variance > STILL * moments.xx.diagonal() / total
    factor = torch.where(moving, variance.clamp(min=0).rsqrt(), 0.0)
    values, vectors = torch.linalg.eigh(factor[:, None] * within * factor)
    goal = factor[:, None] * (moments.xy - mean_x.T @ moments.y) / total
    turned = vectors.T @ goal
    found = []
    for strength in strengths:
        # An eigenvalue below 0 is rounding.
        scaled = turned / (values.clamp(min=0) + strength)[:, None]
        weight = factor[:, None] * (vectors @ scaled)
        found.append(Linear(weight, mean_y - mean_x @ weight, strength))
    return found


def choose(candidates: Sequence[Linear], selection: Moments) -> Linear:
    """The candidate with the smallest error on the selection split, of equal ones the strongest."""
    return min(candidates, key=lambda each: (each.error(selection), -each.strength))


def _means(sums: Tensor, count: Tensor) -> Tensor:
    """(n,...) the mean of each cell; that of all tokens where a cell has none."""
    own = sums / count.clamp(min=1)[:, None]
    return torch.where(count[:, None] > 0, own, sums.sum(0) / count.sum())
