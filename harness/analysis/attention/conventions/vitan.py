"""Attention figures as mwalmer-umd/vit_analysis (Walmer et al., 2023) has them.

analysis/attention_metrics.py. Token 0 is the class token, or an all-zero stand-in where there is
none; registers are deleted without renormalising. Lengths are in sides of the grid of patch
centres, so that neighbours of a row of g are 1/(g-1) apart. A row whose whole weight is on the
class token keeps nothing: its distance is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from harness.analysis.attention.conventions.contract import Convention, Figures
from harness.analysis.attention.conventions.offsets import along_mean
from harness.analysis.attention.conventions.plain import (
    grid_distances,
    grid_offsets,
    one_window,
    side,
)

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import WindowAttention
    from harness.analysis.attention.conventions.contract import Heads

Mode = Literal["all", "spc", "spcpure", "cls"]


def renormalised(weights: Tensor) -> Tensor:
    """Return weights (...,K) whose rows sum to 1, or to 0 where there is nothing."""
    sums = weights.sum(dim=-1, keepdim=True)
    return weights / torch.where(sums == 0, 1, sums)


def distance(patches: Tensor, side: int) -> Tensor:
    """Return (B,heads) in sides of the grid, from weights among patches (B,heads,N,N)."""
    weighted = renormalised(patches) * grid_distances(side, patches)
    return weighted.sum(dim=-1).mean(dim=-1) / (side - 1)


def aligned(batches: Sequence[Tensor], side: int) -> Tensor:
    """Return (heads,2g-1,2g-1): the attention by row and column of key minus query, centre = the
    query itself.

    Added up over images but divided by queries x batches, so that it grows with the batch size.

    Args:
        batches: weights among patches (B,heads,N,N), as the code is given them.
        side: g.
    """
    width = 2 * side - 1
    x, y = grid_offsets(side, batches[0]).long() + side - 1
    places = (y * width + x).flatten()
    weights = torch.stack([renormalised(batch).sum(dim=0) for batch in batches]).sum(dim=0)
    found = weights.new_zeros(len(weights), width * width)
    found.index_add_(1, places, weights.flatten(1))
    return found.view(-1, width, width) / (weights.shape[-1] * len(batches))


def offsets(patches: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return (B,heads,2) and (B,heads): the sum over queries of attention times (x,y) of key minus
    query, in sides of the grid, and the sum of attention. The code's offset of a head is the sum of
    the first over images by that of the second, x to the right and y down; 0 where there is none.
    """
    weights = renormalised(patches)
    moved = torch.einsum("bhqk,cqk->bhc", weights, grid_offsets(side, patches))
    return moved / (side - 1), weights.sum(dim=(-2, -1))


def deviation_over_queries(patches: Tensor) -> Tensor:
    """Return (B,heads): unbiased standard deviation over queries, mean over keys, of weights among
    patches (B,heads,N,N) as they are. The code's `stdev-over-token-pos`."""
    return patches.std(dim=-2).mean(dim=-1)


def deviation_over_heads(patches: Tensor) -> Tensor:
    """Return (B,): the same over heads, mean over queries and keys: `stdev-over-head`."""
    return patches.std(dim=1).mean(dim=(-2, -1))


def spatial_class_attention(patches: Tensor) -> Tensor:
    """Return (B,heads): the code's `spatial-cls-att`. Meant as the patches' mean weight on the
    class token, it is that on the first patch."""
    return patches[..., 0].mean(dim=-1)


def on_token(tokens: Tensor, mode: Mode) -> Tensor:
    """Return (heads,1+N): the mean weight on each token over images.

    Args:
        tokens: (B,heads,1+N,1+N), token 0 the class token or its all-zero stand-in.
        mode: from which queries: `all`; `spc`, the patches; `spcpure`, the patches, the class token
            taken out and rows renormalised; `cls`, the class token.
    """
    if mode == "cls":
        return tokens[:, :, 0].mean(dim=0)
    rows = tokens if mode == "all" else tokens[:, :, 1:]
    if mode == "spcpure":
        rows = torch.cat([torch.zeros_like(rows[..., :1]), renormalised(rows[..., 1:])], dim=-1)
    return rows.mean(dim=-2).mean(dim=0)


class Vitan(Convention):
    """Distance, offset, deviations, and the attention to the first patch."""

    def figures(self, found: WindowAttention) -> Figures:
        first = found.prefix
        patches = one_window(found, "vitan")[..., first:, first:]
        length = side(found, "vitan")
        moved, mass = offsets(patches, length)
        heads = {
            "distance": distance(patches, length),
            "offset_x": moved[..., 0],
            "offset_y": moved[..., 1],
            "stdev_over_token_pos": deviation_over_queries(patches),
            "spatial_cls_att": spatial_class_attention(patches),
            "mass": mass,
        }
        block = {"stdev_over_head": deviation_over_heads(patches)} if patches.shape[1] > 1 else {}
        return Figures(heads, block=block)

    def finished(self, heads: Heads) -> Heads:
        mass = heads["mass"].mean(axis=0)
        x, y = (
            np.divide(heads[name], mass, out=np.zeros_like(heads[name]), where=mass > 0)
            for name in ("offset_x", "offset_y")
        )
        kept = {name: values for name, values in heads.items() if name != "mass"}
        return kept | {"offset_x": x, "offset_y": y, "offset": along_mean(x, y)}

    def notes(self, blocks: Sequence[Heads]) -> tuple[str, ...]:
        return (
            "Convention vitan: distance and offsets are not in pixels but in sides of the grid of "
            "patch centres; times (side - 1) times the patch size they are.",
            "A row whose whole weight is on prefix tokens counts with distance 0.",
            "spatial_cls_att is the attention to the first patch, as that code reads it, not to "
            "the class token.",
            "That code has distance, offset, stdev_over_token_pos, stdev_over_head and "
            "spatial_cls_att alone: all other measures are left out.",
        )
