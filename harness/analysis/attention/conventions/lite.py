"""Distance and entropy as wangsr126/mae-lite has them.

projects/eval_tools/visualize/attn_analyzer.py: softmax over the logits of the patches alone, which
is what renormalising gives; steps of 14 px though its patches are 16 px apart; 1e-6 in the
logarithm, so that the entropy of a one-hot row is -1e-6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from harness.analysis.attention.conventions.contract import Convention, Figures
from harness.analysis.attention.conventions.plain import grid_distances, one_window, side

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import WindowAttention
    from harness.analysis.attention.conventions.contract import Heads

STEP = 14
_EPSILON = 1e-6


def renormalised(patches: Tensor) -> Tensor:
    """Return weights (B,heads,N,N) whose rows sum to 1; a row without weight becomes uniform, as
    the softmax of equal logits does."""
    sums = patches.sum(dim=-1, keepdim=True)
    return torch.where(sums > 0, patches / sums, 1 / patches.shape[-1])


def distance(patches: Tensor, side: int) -> Tensor:
    """Return (B,heads) in steps of 14 px, from weights among patches (B,heads,N,N)."""
    weighted = renormalised(patches) * grid_distances(side, patches)
    return weighted.sum(dim=-1).mean(dim=-1) * STEP


def entropy(patches: Tensor) -> Tensor:
    """Return (B,heads) in nats, from weights among patches (B,heads,N,N) of any grid."""
    weights = renormalised(patches)
    return -(weights * (weights + _EPSILON).log()).sum(dim=-1).mean(dim=-1)


def over_batches(batches: Sequence[Tensor]) -> Tensor:
    """Return (heads,): what the code reports of figures (B,heads) that it was given batch by batch.
    The mean of their means: batches weigh alike, whatever their size."""
    return torch.stack([batch.mean(dim=0) for batch in batches]).mean(dim=0)


class Lite(Convention):
    """Distance and entropy."""

    def figures(self, found: WindowAttention) -> Figures:
        first = found.prefix
        patches = one_window(found, "lite")[..., first:, first:]
        return Figures(
            {"distance": distance(patches, side(found, "lite")), "entropy": entropy(patches)},
        )

    def notes(self, blocks: Sequence[Heads]) -> tuple[str, ...]:
        return (
            "Convention lite: patches count as 14 px apart, whatever the encoder's are; the "
            "entropy has 1e-6 in its logarithm.",
            "Images weigh alike; in that code batches do, which is the same where all batches are "
            "of one size.",
            "That code has distance and entropy alone: all other measures are left out.",
        )
