"""Which anchors and regions are trained on: a function of a sample's key and their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from backbones.randomness import uniform

if TYPE_CHECKING:
    from torch import Tensor

ANCHORS, REGIONS = 1, 2
"""Streams of a sample's random numbers."""

_APART = 0x5851F42D4C957F2D
"""Between the keys of neighbouring candidates, so that those of small sample keys never meet."""


def draws(keys: Tensor, numbers: Tensor, stream: int) -> Tensor:
    """A random number in [0, 1) for each candidate.

    Args:
        keys: of the samples, int64.
        numbers: of the candidates, int64, broadcast against `keys`.
        stream: `ANCHORS` or `REGIONS`.
    """
    return uniform(keys + numbers * _APART, stream)


def choose(assigned: Tensor, drawn: Tensor, count: int, share: float) -> tuple[Tensor, Tensor]:
    """Choose candidates as mmdet's RandomSampler does, those with the least numbers drawn.

    Args:
        assigned: (n,) above 0 for positives, 0 for negatives; others are not chosen.
        drawn: (n,).
        count: how many at most; negatives fill what positives leave.
        share: of positives at most.

    Returns:
        Rows of positives and of negatives, each in rising order.
    """
    positive = _least((assigned > 0).nonzero()[:, 0], drawn, int(count * share))
    negative = _least((assigned == 0).nonzero()[:, 0], drawn, count - len(positive))
    return positive, negative


def _least(rows: Tensor, drawn: Tensor, count: int) -> Tensor:
    if len(rows) <= count:
        return rows
    order = torch.argsort(drawn[rows], stable=True)[:count]
    return rows[order].sort().values
