"""SigLIP's pooling: one learned query looks at all tokens (big_vision models/vit.py, MAPHead)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from timm.layers.mlp import Mlp
from torch import Tensor, nn
from torch.nn import functional


class AttentionPool(nn.Module):
    """Attention of a learned query to tokens, and an MLP with a residual connection.

    Args:
        width: C, of the tokens.
        heads: of the attention.
        hidden: units of the MLP.
        act: its activation.
        norm_eps: of the norm before the MLP.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, act: Callable[[], nn.Module], norm_eps: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.latent = nn.Parameter(torch.zeros(1, 1, width))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = Mlp(width, hidden, act_layer=cast(Any, act))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B,C) for normed tokens (B,N,C)."""
        count, _, width = tokens.shape
        weight, bias = self.qkv.weight, self.qkv.bias
        query = functional.linear(self.latent, weight[:width], bias[:width])
        keys, values = functional.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1)
        query, keys, values = (
            part.reshape(count, -1, self.heads, width // self.heads).transpose(1, 2)
            for part in (query.expand(count, -1, -1), keys, values)
        )
        seen = functional.scaled_dot_product_attention(query, keys, values)
        pooled: Tensor = self.proj(seen.transpose(1, 2).flatten(1))
        refined: Tensor = pooled + self.mlp(self.norm(pooled))
        return refined
