"""A block of the fusion: attention with given positions, then an MLP, each behind a norm."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from backbones.droppath import DropPath, SampleKeys

FIRST_STREAM = 1 << 20
"""Of drop path's draws here: an encoder, whose sample keys are the same, counts its own from 0."""


class Block(nn.Module):
    """x + attention of x on keys, then x + MLP(x) (Vaswani et al. 2017, norms first).

    Args:
        dim: channels.
        heads: number of heads.
        mlp_ratio: hidden width of the MLP in `dim`.
        cross: whether keys are other tokens than the queries, with a norm of their own.
        number: of the block in the fusion, on which its draws depend.
        keys: of the samples.
    """

    def __init__(
        self, dim: int, heads: int, mlp_ratio: float, *, cross: bool, number: int, keys: SampleKeys
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.norm_keys = nn.LayerNorm(dim) if cross else None
        self.attention = Attention(dim, heads)
        self.norm_mlp = nn.LayerNorm(dim)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        stream = FIRST_STREAM + 2 * number
        self.drop_attention = DropPath(0.0, stream, keys)
        self.drop_mlp = DropPath(0.0, stream + 1, keys)

    def forward(self, x: Tensor, positions: Tensor, others: Tensor | None = None) -> Tensor:
        """(B,Q,dim) of queries x (B,Q,dim) and positions (1,heads,Q,K); keys are x itself, or of a
        block `cross` others (B,K,dim)."""
        queries = self.norm(x)
        keys = queries if self.norm_keys is None else self.norm_keys(others)
        x = x + self.drop_attention(self.attention(queries, keys, positions))
        after: Tensor = x + self.drop_mlp(self.mlp(self.norm_mlp(x)))
        return after

    def set_drop_path(self, rate: float) -> None:
        """The share of samples for which either branch is left out in training."""
        self.drop_attention.rate = self.drop_mlp.rate = rate


class Attention(nn.Module):
    """softmax(q k^T / sqrt(d) + positions) v over heads of d channels."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, keys: Tensor, positions: Tensor) -> Tensor:
        """(B,Q,dim) of (B,Q,dim), (B,K,dim) and (1,heads,Q,K)."""
        q = self._by_head(self.query(queries))
        k, v = (self._by_head(x) for x in self.key_value(keys).chunk(2, dim=2))
        found = functional.scaled_dot_product_attention(q, k, v, positions.to(q.dtype))
        out: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
