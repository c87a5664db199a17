"""The decoder of a masked autoencoder (He et al., 2022, section 3; facebookresearch/mae)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn


class MaeDecoder(nn.Module):
    """A small transformer that sees the kept tokens and a mask token in place of each other one.

    Args:
        width: channels of the encoder.
        decoder_width, depth, heads: of the decoder.
        patch: side of a patch in pixels.
        places: number of patches.
        norm_eps: of its layer norms.
    """

    def __init__(
        self,
        width: int,
        decoder_width: int,
        depth: int,
        heads: int,
        patch: int,
        places: int,
        norm_eps: float,
    ) -> None:
        super().__init__()
        norm: Any = partial(nn.LayerNorm, eps=norm_eps)
        self.patch = patch
        self.embed = nn.Linear(width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + places, decoder_width))
        self.blocks = nn.ModuleList(
            Block(decoder_width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)
        )
        self.norm = norm(decoder_width)
        self.pred = nn.Linear(decoder_width, 3 * patch**2)

    def forward(self, features: Tensor, hidden: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the image (B,3,h*patch,w*patch).

        Args:
            features: (B,1+kept,C): class token and kept tokens in raster order.
            hidden: (B,N) bool, the places that are not among them.
            grid: (h,w), N = h*w.
        """
        embedded = self.embed(features)
        places = self.mask_token.to(embedded.dtype).expand(*hidden.shape, -1)
        # Kept tokens and free places are both in raster order, so a mask is enough to match them.
        places = places.masked_scatter(~hidden.unsqueeze(-1), embedded[:, 1:])
        tokens = torch.cat([embedded[:, :1], places], dim=1) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return self._to_image(self.pred(self.norm(tokens))[:, 1:], grid)

    def _to_image(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
        """Put patches (B,N,p*p*3), colour last, in their places."""
        blocks = pixels.view(len(pixels), *grid, self.patch, self.patch, 3)
        return blocks.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
