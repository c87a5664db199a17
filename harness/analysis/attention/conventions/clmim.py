"""Distance and mutual information as naver-ai/cl-vs-mim (Park et al., 2023) has them.

self_attention_analysis.ipynb, cells 10 and 12: the class token is dropped, an epsilon is added
before rows are renormalised, so that a row without weight becomes uniform; patches are 16 px apart
whatever the encoder's are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.analysis.attention.conventions.contract import Convention, Figures
from harness.analysis.attention.conventions.plain import grid_distances, one_window, side

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import WindowAttention
    from harness.analysis.attention.conventions.contract import Heads

PITCH = 16
_TO_DISTANCE, _TO_NMI = 1e-32, 1e-8


def distance(patches: Tensor, side: int) -> Tensor:
    """Return (B,heads) in steps of 16 px, from weights among patches (B,heads,N,N)."""
    return (_raised(patches, _TO_DISTANCE) * grid_distances(side, patches)).sum(-1).mean(-1) * PITCH


def nmi(patches: Tensor) -> Tensor:
    """Return (B,heads) in [0,1], from weights among patches (B,heads,N,N) of any grid."""
    weights = _raised(patches, _TO_NMI)
    queries = patches.shape[-1]
    shares = weights.mean(dim=-2, keepdim=True)
    information = (weights * (weights / shares).log()).sum(dim=(-2, -1)) / queries
    of_keys = -(shares * shares.log()).sum(dim=(-2, -1))
    return information / (of_keys * math.log(queries)).sqrt()


def _raised(patches: Tensor, epsilon: float) -> Tensor:
    raised = patches + epsilon
    return raised / raised.sum(dim=-1, keepdim=True)


class Clmim(Convention):
    """Distance and normalised mutual information."""

    def figures(self, found: WindowAttention) -> Figures:
        first = found.prefix
        patches = one_window(found, "clmim")[..., first:, first:]
        return Figures(
            {"distance": distance(patches, side(found, "clmim")), "nmi": nmi(patches)},
        )

    def notes(self, blocks: Sequence[Heads]) -> tuple[str, ...]:
        return (
            "Convention clmim: patches count as 16 px apart, whatever the encoder's are; weights "
            "have 1e-32 (distance) or 1e-8 (nmi) added before they are renormalised.",
            "That code has distance and nmi alone: all other measures are left out.",
        )
