"""Hiera's masked autoencoder (Ryali et al., 2023; hiera_mae.py of facebookresearch/hiera)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from timm.models.hiera import HieraBlock, undo_windowing
from torch import Tensor, nn

from backbones.families.hiera_arch import HieraArch
from backbones.families.positions import Grid


class HieraDecoder(nn.Module):
    """What gathers the stages, and the decoder proper.

    Args:
        arch: the architecture.
        grid: rows and columns of the patches.
    """

    def __init__(self, arch: HieraArch, grid: Grid) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=arch.norm_eps)
        width, hidden = arch.widths[-1], arch.decoder_embed_dim
        self.units = (grid[0] // arch.unit, grid[1] // arch.unit)
        self.side = arch.unit >> arch.q_pool
        self.pixels = arch.strides[-1]
        self.grid = (self.units[0] * self.side, self.units[1] * self.side)
        self.fusion = nn.ModuleList(
            nn.Conv2d(arch.widths[i], width, kernel_size=factor, stride=factor)
            for i, factor in enumerate(1 << (arch.q_pool - i) for i in range(arch.q_pool))
        )
        self.encoder_norm = norm(width)
        self.embed = nn.Linear(width, hidden)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, hidden))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1], hidden))
        self.blocks = nn.ModuleList(
            HieraBlock(
                hidden,
                hidden,
                arch.decoder_num_heads,
                mlp_ratio=arch.mlp_ratio,
                norm_layer=cast(type[nn.Module], norm),
            )
            for _ in range(arch.decoder_depth)
        )
        self.norm = norm(hidden)
        self.pred = nn.Linear(hidden, 3 * self.pixels**2)

    def gather(self, stages: Sequence[Tensor]) -> Tensor:
        """Return the normed sum of all stages, in the resolution of the last.

        Args:
            stages: kept mask units (B,units,h,w,C) after each stage that is followed by pooling,
                and after the last.

        Returns:
            (B,units,side,side,C).
        """
        total = stages[-1]
        for layer, stage in zip(self.fusion, stages[:-1], strict=True):
            maps = layer(stage.flatten(0, 1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            total = total + maps.unflatten(0, stage.shape[:2])
        return cast(Tensor, self.encoder_norm(total))

    def forward(self, kept: Tensor, hidden: Tensor) -> Tensor:
        """Return the reconstruction (B,3,H,W) of what `gather` gives; `hidden` is (B,units)."""
        embedded = self.embed(kept)
        every = self.mask_token.to(embedded.dtype).expand(*hidden.shape, -1)
        every = every[:, :, None, None].expand(-1, -1, self.side, self.side, -1).clone()
        every[~hidden] = embedded.flatten(0, 1)
        tokens = undo_windowing(every, list(self.grid), [self.side, self.side]).flatten(1, 2)
        tokens = tokens + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        cells = self.pred(self.norm(tokens)).unflatten(-1, (3, self.pixels, self.pixels))
        cells = cells.unflatten(1, self.grid).permute(0, 3, 1, 4, 2, 5)
        return cast(Tensor, cells.flatten(4, 5).flatten(2, 3))
