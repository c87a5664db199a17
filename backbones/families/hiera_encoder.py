"""The modules of a Hiera, of timm's layers, and its order of tokens.

Tokens are not in raster order: those that pooling brings together, and those of a mask unit, stand
at a fixed distance (timm's Unroll; hiera_utils.py of facebookresearch/hiera).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import Any, cast

import torch
from timm.models.hiera import HieraBlock, PatchEmbed, Reroll, Unroll
from torch import Tensor, nn
from torch.nn import functional

from backbones.families.hiera_arch import HieraArch
from backbones.families.positions import Grid


class HieraStage(nn.Module):
    """The blocks of one stage; the first widens the tokens and pools them."""

    def __init__(self, arch: HieraArch, number: int) -> None:
        super().__init__()
        pooled = min(number, arch.q_pool)
        self.blocks = nn.ModuleList(
            HieraBlock(
                dim=arch.widths[number - 1] if number and not i else arch.widths[number],
                dim_out=arch.widths[number],
                heads=arch.num_heads * 2**number,
                mlp_ratio=arch.mlp_ratio,
                init_values=arch.layer_scale,
                norm_layer=cast(type[nn.Module], partial(nn.LayerNorm, eps=arch.norm_eps)),
                q_stride=4 if i == 0 and 1 <= number <= arch.q_pool else 1,
                window_size=(arch.unit // 2**pooled) ** 2,
                use_expand_proj=arch.expand_proj,
                use_mask_unit_attn=arch.in_units(number, i),
            )
            for i in range(arch.depths[number])
        )


class HieraEncoder(nn.Module):
    """Patch embedding, positions and stages.

    Args:
        arch: the architecture.
        grid: rows and columns of the patches, of whole mask units.
    """

    def __init__(self, arch: HieraArch, grid: Grid) -> None:
        super().__init__()
        patch, width = arch.patch_size, arch.embed_dim
        self.grid, self.unit = grid, arch.unit
        self.patch_embed = PatchEmbed(
            3, width, (2 * patch - 1,) * 2, (patch,) * 2, (patch - 1,) * 2
        )
        shape = (1, width, *arch.table) if arch.window_table else (1, grid[0] * grid[1], width)
        self.pos_embed = nn.Parameter(torch.zeros(shape))
        window = torch.zeros(1, width, arch.unit, arch.unit)
        self.pos_embed_win = nn.Parameter(window) if arch.window_table else None
        self.layers = nn.ModuleList(HieraStage(arch, i) for i in range(len(arch.depths)))
        schedule = [(2, 2)] * (len(arch.depths) - 1)
        self.unroll = Unroll(grid, (1, 1), list(schedule))
        ends = [end - 1 for end in accumulate(arch.depths)]
        self.reroll = Reroll(grid, (1, 1), list(schedule), ends, arch.q_pool)

    def embed(self, images: Tensor) -> Tensor:
        """Return the patch embeddings with positions (B,N,C), in the order of the blocks."""
        return cast(Tensor, self.unroll(self.patch_embed(images) + self.positions()))

    def every_block(self) -> list[Any]:
        """Return the blocks of all stages."""
        return [block for stage in self.layers for block in cast(HieraStage, stage).blocks]

    def run(self, tokens: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the stage of each block, and the tokens after it."""
        for number, stage in enumerate(self.layers):
            for block in cast(HieraStage, stage).blocks:
                tokens = block(tokens)
                yield number, tokens

    def positions(self) -> Tensor:
        """Return the position table in raster order, (1,N,C)."""
        if self.pos_embed_win is None:
            return self.pos_embed
        stretched = functional.interpolate(
            self.pos_embed, size=self.grid, mode="bicubic", antialias=True
        )
        units = [cells // self.unit for cells in self.grid]
        table = stretched + self.pos_embed_win.tile(units)
        return table.flatten(2).transpose(1, 2)

    def in_raster(self, tokens: Tensor, block: int) -> Tensor:
        """Return the tokens (B,N,C) after a block as a map (B,h,w,C)."""
        return cast(Tensor, self.reroll(tokens, block))

    def places(self, block: int) -> Tensor:
        """Return where each cell of the map after a block stands among the tokens, (h,w)."""
        _, size = self.reroll.schedule[block]
        numbers = torch.arange(size[0] * size[1]).view(1, -1, 1)
        return self.in_raster(numbers, block).view(*size)
