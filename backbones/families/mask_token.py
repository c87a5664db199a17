"""Masked input of encoders whose objective has no pixels: BEiT, DINOv2, iBOT."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class MaskToken(nn.Module):
    """The token that stands for a hidden patch, and BEiT's classifier of visual tokens.

    Args:
        shape: of the token, as the file has it; its last axis is the encoder's width.
        vocabulary: number of visual tokens that are told apart, 0 without classifier.
    """

    def __init__(self, shape: tuple[int, ...], vocabulary: int = 0) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(shape))
        self.lm_head = nn.Linear(shape[-1], vocabulary) if vocabulary else None

    def hide(self, patches: Tensor, hidden: Tensor) -> Tensor:
        """Return patch embeddings (B,N,C) with the token where `hidden` (B,N) is true."""
        return torch.where(hidden.unsqueeze(-1), self.mask_token.to(patches.dtype), patches)

    def forward(self, features: Tensor) -> Tensor:
        """Return scores of visual tokens (B,vocabulary,h,w) for a normed map (B,C,h,w)."""
        if self.lm_head is None:
            return features[:, :0]
        return cast(Tensor, self.lm_head(features.movedim(1, -1))).movedim(-1, 1)
