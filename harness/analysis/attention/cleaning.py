"""Attention among patches alone: prefix tokens, padding and forbidden pairs taken out.

Shapes: B images, W windows, Q queries and K keys of a window, prefix tokens left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import WindowAttention


@dataclass(frozen=True)
class Layout:
    """Which patch may attend to which, and where they are.

    Attributes:
        allowed: (W,Q,K) bool.
        queries, keys: (W,Q,2) and (W,K,2) float64, (x,y) in input pixels; 0 for padding.
        distances: (W,Q,K) float64, pixels; 0 for pairs that are not allowed.
        counts: (W,Q) int64, the keys that each query may attend to; 0 for padding.
        rows: the number of queries that are no padding, in all windows together.
        whole: True if every pair is allowed.
    """

    allowed: Tensor
    queries: Tensor
    keys: Tensor
    distances: Tensor
    counts: Tensor
    rows: int
    whole: bool

    def uniform_distance(self) -> float:
        """Return the mean distance in pixels, over queries, under uniform attention over the keys
        that each may attend to: the sum of its distances divided by their number."""
        each = self.distances.sum(dim=-1) / self.counts.clamp(min=1)
        return float(each.sum()) / self.rows


@dataclass(frozen=True)
class Patches:
    """The attention of one block among its patches.

    Attributes:
        layout: of the windows.
        weights: (B,W,heads,Q,K), rows sum to 1, but for those of padding, which are 0; 0 for pairs
            that are not allowed.
        prefix_mass: (B,heads) float64 in [0,1], what was on prefix tokens before they were dropped;
            mean over queries.
        forbidden_mass: (B,heads) float64 in [0,1], the same of padding and forbidden pairs.
        empty: (B,heads) int64, the rows that had nothing left and were made uniform.
    """

    layout: Layout
    weights: Tensor
    prefix_mass: Tensor
    forbidden_mass: Tensor
    empty: Tensor


def layout(found: WindowAttention) -> Layout:
    """Return the windows' layout without prefix tokens."""
    first = found.prefix
    allowed = found.allowed[:, first:, first:]
    queries = found.query_positions[:, first:].double().nan_to_num(0)
    keys = found.key_positions[:, first:].double().nan_to_num(0)
    apart = (queries.unsqueeze(2) - keys.unsqueeze(1)).square().sum(dim=-1).sqrt()
    counts = allowed.sum(dim=-1)
    rows = int((counts > 0).sum())
    return Layout(allowed, queries, keys, apart * allowed, counts, rows, bool(allowed.all()))


def clean(found: WindowAttention, places: Layout | None = None) -> Patches:
    """Drop the prefix tokens on both axes, zero what is not allowed, renormalise every row.

    The rule of the harness for what the public codes do each in their own way. A row whose whole
    weight was on dropped keys becomes uniform over its allowed ones: the limit of adding an epsilon
    before renormalising, as the rule for KL does, and as two of three public codes do.

    Args:
        found: one block.
        places: `layout(found)`, if it is at hand.
    """
    places = layout(found) if places is None else places
    rows = found.probabilities[:, :, :, found.prefix :]
    real = (places.counts > 0).unsqueeze(1)
    weights = rows[..., found.prefix :]
    before = weights.sum(dim=-1)
    if places.whole:
        sums, weights = before, weights / before.unsqueeze(-1)
        forbidden = torch.zeros_like(before)
    else:
        weights = weights * places.allowed.unsqueeze(1)
        sums = weights.sum(dim=-1)
        forbidden = ((before - sums) * real).clamp(min=0)
        weights /= sums.clamp(min=torch.finfo(sums.dtype).tiny).unsqueeze(-1)
    empty = (sums < torch.finfo(sums.dtype).tiny) & real
    if bool(empty.any()):
        flat = (places.allowed.double() / places.counts.clamp(min=1).unsqueeze(-1)).unsqueeze(1)
        weights = torch.where(empty.unsqueeze(-1), flat.to(weights.dtype), weights)
    prefix = rows[..., : found.prefix].sum(dim=-1) * real
    return Patches(
        places,
        weights,
        over_queries(prefix, places),
        over_queries(forbidden, places),
        empty.sum(dim=(1, 3)),
    )


def over_queries(values: Tensor, places: Layout) -> Tensor:
    """Return the mean (B,heads) float64 over the queries of values (B,W,heads,Q), 0 in padding."""
    return values.sum(dim=(1, 3), dtype=torch.float64) / places.rows
