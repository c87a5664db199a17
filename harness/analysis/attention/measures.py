"""What a head does, from its attention among patches: one number an image and head.

Logarithms are natural, means are over queries, and 0 ln 0 is 0. Tensors of any float dtype; what
depends on all of a head's weights is added up in float64. Shapes: B images, W windows, Q queries
and K keys of a window.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import linalg

from harness.analysis.attention.cleaning import over_queries

if TYPE_CHECKING:
    from torch import Tensor

    from harness.analysis.attention.cleaning import Layout, Patches

EPSILON = 1e-8
"""Added to every allowed weight before a KL divergence, which is unbounded without."""


def distance(patches: Patches) -> Tensor:
    """Return (B,heads): the mean distance to what is attended to, in input pixels.

    sum over k of A[q,k] |pos_q - pos_k|, mean over q (Raghu et al., 2021, section 4).
    """
    apart = patches.layout.distances.to(patches.weights.dtype).unsqueeze(1)
    return over_queries(linalg.vecdot(patches.weights, apart), patches.layout)


def row_entropies(weights: Tensor) -> Tensor:
    """Return (B,W,heads,Q): the entropy of each row in nats, in [0, ln K]."""
    tiny = torch.finfo(weights.dtype).tiny
    logs = weights.clamp(min=tiny).log_()
    return -logs.mul_(weights).sum(dim=-1)


def entropy(of_rows: Tensor, places: Layout) -> Tensor:
    """Return (B,heads): the mean of `row_entropies` in nats."""
    return over_queries(of_rows, places)


def entropy_relative(of_rows: Tensor, places: Layout) -> Tensor:
    """Return (B,heads) in [0,1]: the mean of each row's entropy over ln(its allowed keys).

    A query with one allowed key has no such ratio and is left out of the mean; NaN where all have
    but one.
    """
    several = places.counts > 1
    logs = places.counts.clamp(min=2).double().log()
    shares = (of_rows.double() / logs.unsqueeze(1)) * several.unsqueeze(1)
    return shares.sum(dim=(1, 3)) / several.sum()


def key_shares(patches: Patches) -> Tensor:
    """Return p(k), (B,W,heads,K) float64: the mean weight on each key over the queries of all
    windows. Sums to 1 over windows and keys."""
    return patches.weights.sum(dim=3).double() / patches.layout.rows


def nmi(shares: Tensor, of_rows: Tensor, places: Layout) -> Tensor:
    """Return (B,heads) in [0,1]: the normalised mutual information of query and key.

    I / sqrt(H(q) H(k)) with p(q) = 1/N, p(k) = `key_shares` and I = H(k) - mean of the rows'
    entropies (Park et al., 2023, section 2). 0 where all queries attend alike, also where all
    attend to one key or where there is one query.
    """
    tiny = torch.finfo(shares.dtype).tiny
    of_keys = -(shares * shares.clamp(min=tiny).log()).sum(dim=(1, 3))
    information = of_keys - entropy(of_rows, places)
    scale = (of_keys * math.log(places.rows)).clamp(min=0).sqrt()
    return torch.where(scale > 0, information / scale, 0)


def offset(shares: Tensor, places: Layout) -> Tensor:
    """Return (B,heads,2): mean of pos_k - pos_q, weighted by attention, in input pixels.

    x to the right, y down (after Walmer et al., 2023, section 4.1, whose code is in `vitan`).
    """
    ends = torch.einsum("bwhk,wkc->bhc", shares, places.keys)
    real = (places.counts > 0).unsqueeze(-1)
    return ends - (places.queries * real).sum(dim=(0, 1)) / places.rows


def kl(patches: Patches, epsilon: float = EPSILON) -> Tensor:
    """Return (B,heads,heads) float64, [i,j] = KL(A_i || A_j) in nats, mean over queries.

    `epsilon` is added to every allowed weight of both, rows renormalised. All pairs at once: what
    the logarithms of all heads have in common cancels, so that they are centred over heads and one
    matrix product is left.
    """
    places = patches.layout
    raised = patches.weights + epsilon
    logs = raised.log()
    logs -= logs.mean(dim=2, keepdim=True)
    raised /= (1 + places.counts.double() * epsilon).to(raised.dtype)[:, None, :, None]
    if not places.whole:
        raised *= places.allowed.unsqueeze(1)
    crossed = raised.flatten(3) @ logs.flatten(3).transpose(-1, -2)
    crossed = crossed.sum(dim=1, dtype=torch.float64)
    return (crossed.diagonal(dim1=-2, dim2=-1).unsqueeze(-1) - crossed) / places.rows


def js(patches: Patches, of_rows: Tensor) -> Tensor:
    """Return (B,heads,heads) float64 in [0, ln 2], [i,j] = the Jensen-Shannon divergence in nats,
    mean over queries: H((A_i + A_j) / 2) - (H(A_i) + H(A_j)) / 2 of each row (Lin, 1991)."""
    weights, places = patches.weights, patches.layout
    own = over_queries(of_rows, places)
    doubled = _doubled_entropies(weights) / places.rows
    # With M = (A_i + A_j) / 2, H(M) = ln 2 - sum of (2M) ln(2M) / 2.
    means = (own.unsqueeze(2) + own.unsqueeze(1)) / 2
    upper = (math.log(2) - doubled / 2 - means).triu(diagonal=1)
    return upper + upper.transpose(1, 2)


def _doubled_entropies(weights: Tensor) -> Tensor:
    """Return (B,heads,heads) float64: where i < j, the sum of s ln s with s = A_i + A_j."""
    images, _, heads, *_ = weights.shape
    tiny = torch.finfo(weights.dtype).tiny
    found = weights.new_zeros(images, heads, heads, dtype=torch.float64)
    # Two buffers for all pairs: memory that is new each time costs more than the logarithms.
    buffers = weights.new_empty(2, weights[:, :, 1:].numel())
    for head in range(heads - 1):
        others = weights[:, :, head + 1 :]
        both, logs = (buffer[: others.numel()].view(others.shape) for buffer in buffers)
        torch.add(others, weights[:, :, head : head + 1] + tiny, out=both)
        torch.log(both, out=logs)
        found[:, head, head + 1 :] = logs.mul_(both).sum(dim=(1, 3, 4))
    return found
