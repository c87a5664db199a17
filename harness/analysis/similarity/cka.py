"""Centred kernel alignment, linear: how alike two representations of the same images are.

Kornblith et al. 2019 (1905.00414), section 3; the minibatch estimator of Nguyen et al. 2021
(2010.15327), section 3.1, equation 3, from the unbiased HSIC of Song et al. 2012. 1 is equal up to
rotation and scale; independent representations have 0 in the mean, and may come out below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PART = 2**17
"""Numbers that are multiplied at once."""
LEAST = 4
"""Images of a minibatch: with fewer the estimator divides by zero."""


def centred(features: Tensor) -> Tensor:
    """The features (m,...) as (m,d) float64 without their mean over the images.

    HSIC is the same with and without it, but for rounding: uncentred Gram matrices of features far
    from zero lose all digits.
    """
    flat = features.flatten(1).double()
    return flat - flat.mean(dim=0)


def gram(features: Tensor) -> Tensor:
    """The U-centred Gram matrix (m,m) of features (m,...), float64, its diagonal 0 (Szekely and
    Rizzo 2014, definition 2): the sum of products of two of them is m (m-3) times the unbiased
    HSIC of equation 3.

    Columns are centred and multiplied in the precision that they have, in parts that stay in cache;
    the parts are added up in float64.
    """
    flat = features.flatten(1)
    m = len(flat)
    kernel = flat.new_zeros(m, m, dtype=torch.float64)
    for part in torch.split(flat, _PART // m, dim=1):
        own = part - part.mean(dim=0)
        kernel += own @ own.T
    kernel.fill_diagonal_(0)
    rows = kernel.sum(dim=0) / (m - 2)
    found: Tensor = kernel - rows - rows.unsqueeze(1) + kernel.sum() / ((m - 1) * (m - 2))
    return found.fill_diagonal_(0)


@dataclass
class Minibatches:
    """The unbiased HSIC of all pairs of layers in each minibatch; every minibatch weighs the same.

    A layers on one side and B on the other, T minibatches.
    """

    pairs: list[Tensor] = field(default_factory=list)
    first: list[Tensor] = field(default_factory=list)
    second: list[Tensor] = field(default_factory=list)

    def add(self, first: Sequence[Tensor], second: Sequence[Tensor] | None = None) -> None:
        """Take a minibatch.

        Args:
            first: of each of A layers the U-centred Gram matrix (m,m), m of LEAST or more.
            second: likewise of B layers; those of `first` where left out.
        """
        m = len(first[0])
        scale = m * (m - 3)
        a = torch.stack(list(first)).flatten(1)
        b = a if second is None else torch.stack(list(second)).flatten(1)
        self.pairs.append((a @ b.T).cpu() / scale)
        self.first.append(a.square().sum(dim=1).cpu() / scale)
        self.second.append(b.square().sum(dim=1).cpu() / scale)

    def estimate(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """CKA (A,B), and its standard error by leaving out each minibatch in turn, None of fewer
        than two; NaN of layers that do not differ between images."""
        terms = [torch.stack(each) for each in (self.pairs, self.first, self.second)]
        whole = _ratio(*(each.mean(dim=0) for each in terms))
        count = len(self.pairs)
        if count < 2:
            return whole.numpy(), None
        others = [(each.sum(dim=0) - each) / (count - 1) for each in terms]
        left = torch.stack([_ratio(*each) for each in zip(*others, strict=True)])
        spread = (left - left.mean(dim=0)).square().sum(dim=0)
        return whole.numpy(), (spread * (count - 1) / count).sqrt().numpy()


def _ratio(pairs: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return pairs / (first.unsqueeze(1) * second).sqrt()


def full(first: Sequence[Tensor], second: Sequence[Tensor] | None = None) -> Tensor:
    """CKA (A,B) of all images at once, with the biased HSIC: above 0 for independent features, by
    more the fewer images there are for each feature.

    Args:
        first: of each of A layers the features (n,d).
        second: likewise of B layers; those of `first` where left out.
    """
    a = [centred(each) for each in first]
    b = a if second is None else [centred(each) for each in second]
    sides = [[_product(each, each).norm() for each in side] for side in (a, b)]
    pairs = [[_inner(x, y) / (s * t) for y, t in zip(b, sides[1], strict=True)]
             for x, s in zip(a, sides[0], strict=True)]  # fmt: skip
    return torch.tensor(pairs, dtype=torch.float64)


def _product(x: Tensor, y: Tensor) -> Tensor:
    """The smaller of X X' and X' X: both have the same norm."""
    return x @ y.T if len(x) <= x.shape[1] else x.T @ y


def _inner(x: Tensor, y: Tensor) -> float:
    """The squared norm of Y' X, which is the sum of products of X X' and Y Y'."""
    if len(x) <= min(x.shape[1], y.shape[1]):
        return float(((x @ x.T) * (y @ y.T)).sum())
    return float((y.T @ x).square().sum())
