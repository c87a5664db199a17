"""Divergence between heads as a public training monitor has it (AttentionMonitor.log_diagnostics).

Weights are raised to 1e-9 and renormalised; the divergence of two heads is the mean of both KL, and
all tokens take part. The code averages the attention over a batch before anything else, so that its
figures depend on the batch size: here every image is measured by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from harness.analysis.attention.conventions.contract import Convention, Figures
from harness.analysis.attention.conventions.plain import one_window

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import WindowAttention
    from harness.analysis.attention.conventions.contract import Heads

_LEAST = 1e-9


def divergences(tokens: Tensor) -> Tensor:
    """Return (B,heads,heads) in nats, (KL(i||j) + KL(j||i)) / 2, mean over queries.

    Args:
        tokens: weights (B,heads,T,T); of which tokens, is up to the caller.
    """
    weights = _raised(tokens)
    crossed = torch.einsum("bhqk,bgqk->bhg", weights, weights.log()) / tokens.shape[-2]
    one_way = crossed.diagonal(dim1=-2, dim2=-1).unsqueeze(-1) - crossed
    return (one_way + one_way.transpose(-1, -2)) / 2


def entropy(tokens: Tensor) -> Tensor:
    """Return (B,heads) in nats, of the raised weights."""
    weights = _raised(tokens)
    return -(weights * weights.log()).sum(dim=-1).mean(dim=-1)


def head_divergence(pairs: Tensor) -> Tensor:
    """Return (B,): the largest of `divergences`, which the code prints."""
    return pairs.flatten(1).amax(dim=1)


def _raised(tokens: Tensor) -> Tensor:
    raised = tokens.clamp(min=_LEAST)
    return raised / raised.sum(dim=-1, keepdim=True)


class Monitor(Convention):
    """Symmetric KL and its largest value, and entropy."""

    def figures(self, found: WindowAttention) -> Figures:
        tokens = one_window(found, "monitor")
        pairs = divergences(tokens)
        return Figures(
            {"entropy": entropy(tokens)}, {"kl": pairs}, {"head_divergence": head_divergence(pairs)}
        )

    def notes(self, blocks: Sequence[Heads]) -> tuple[str, ...]:
        return (
            "Convention monitor: all tokens take part, prefix tokens too; weights are raised to "
            "1e-9 and renormalised; kl is the mean of both directions.",
            "Every image is measured by itself; that code averages the attention over a batch "
            "before.",
            "That code has kl, head_divergence (the largest kl) and entropy alone: all other "
            "measures are left out.",
        )
