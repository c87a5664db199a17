"""The fusion of template and search tokens, and what is read off each search token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from backbones.droppath import SampleKeys, rates
from tasks.tracking.fusion.blocks import Block
from tasks.tracking.fusion.positions import Grid, Positions
from tasks.tracking.matching import Response

if TYPE_CHECKING:
    from tasks.tracking.recipe import ModelRecipe


class Fusion(nn.Module):
    """Blocks in which all tokens see all, then blocks in which the search image's see all, then a
    norm. Positions are in the attention alone, one set for the first kind and one for the second.

    Args:
        template, search: rows and columns of the two grids.
        recipe: sizes and drop path.
        keys: of the samples, for drop path.
    """

    def __init__(self, template: Grid, search: Grid, recipe: ModelRecipe, keys: SampleKeys) -> None:
        super().__init__()
        dim, heads = recipe.dim, recipe.heads
        joint, depth = recipe.encoder_blocks, recipe.encoder_blocks + recipe.decoder_blocks
        blocks = [
            Block(dim, heads, recipe.mlp_ratio, cross=number >= joint, number=number, keys=keys)
            for number in range(depth)
        ]
        self.encoder, self.decoder = nn.ModuleList(blocks[:joint]), nn.ModuleList(blocks[joint:])
        self.encoder_positions = Positions(template, search, dim, heads, of_template=True)
        self.decoder_positions = Positions(template, search, dim, heads, of_template=False)
        self.norm = nn.LayerNorm(dim)
        self._drop_path, self._from = recipe.drop_path, recipe.drop_path_from
        self.set_progress(0.0)

    def forward(self, template: Tensor, search: Tensor) -> Tensor:
        """Search tokens (B,M,dim) of template tokens (B,N,dim) and search tokens (B,M,dim)."""
        both = torch.cat([template, search], dim=1)
        positions = self.encoder_positions()
        for block in self.encoder:
            both = block(both, positions)
        template, search = both[:, : template.shape[1]], both[:, template.shape[1] :]
        positions = self.decoder_positions()
        for block in self.decoder:
            search = block(search, positions, torch.cat([template, search], dim=1))
        found: Tensor = self.norm(search)
        return found

    def set_progress(self, share: float) -> None:
        """Drop path grows linearly over the blocks; there is none before a share of training."""
        blocks = [*self.encoder, *self.decoder]
        last = self._drop_path if share >= self._from else 0.0
        for block, rate in zip(blocks, rates(last, len(blocks)), strict=True):
            block.set_drop_path(rate)


class Heads(nn.Module):
    """Two MLPs of three layers, each with a sigmoid: the score of a cell, and its box."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = _mlp(dim, 1)
        self.box = _mlp(dim, 4)

    def forward(self, tokens: Tensor, grid: Grid) -> Response:
        """Of tokens (B,h*w,dim) in raster order."""
        scores, boxes = (_sigmoid(head(tokens)) for head in (self.score, self.box))
        return Response(scores.reshape(-1, *grid), boxes.reshape(-1, *grid, 4))


def _mlp(dim: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, out)
    )


def _sigmoid(logits: Tensor) -> Tensor:
    """In float32 at least: half precision has no scores between 0.9961 and 1 (bfloat16)."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).sigmoid()
