"""ViTDet's plain ViT for large images (Li et al., 2022, section 3): attention within windows in all
but a few blocks, and decomposed relative positions (MViTv2, Li et al., 2022, section 4.1).

Equal to detectron2's modeling/backbone/vit.py: no token beside the patches, no final norm; a map is
padded with zeros to whole windows after a block's first norm, and the padding is attended to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.layers.attention import Attention
from torch import Tensor, nn
from torch.nn import functional

from backbones.contract import AttentionMap, WindowAttention
from backbones.families.contract import Fitted, Tensors
from backbones.families.positions import Grid, resize_absolute
from backbones.families.vit_arch import POSITIONS, RELATIVE, VitArch
from backbones.families.windows import Windows


class WindowedAttention(Attention):
    """timm's attention over a map in raster order, in windows and with relative positions.

    Attributes:
        windows: how the map is divided; None where each patch sees the whole map.
        extent: rows and columns of what is seen.
        rel_pos_h, rel_pos_w: for each offset between a query's row (column) and a key's, from
            -(n-1) to n-1, a vector (2n-1,head_dim) whose product with the query is added to the
            logit; None without. They begin at 0.
    """

    windows: Windows | None
    extent: Grid
    places: Tensor
    rel_pos_h: nn.Parameter | None
    rel_pos_w: nn.Parameter | None

    def divide(self, grid: Grid, side: int, relative: bool) -> None:
        """Set windows of a map, 0 for none, and make the tables."""
        self.windows = Windows(grid, side, 0) if side else None
        self.extent = (side, side) if side else grid
        for leaf, cells in zip(RELATIVE, self.extent, strict=True):
            table = torch.zeros(2 * cells - 1, self.head_dim)
            self.register_parameter(leaf, nn.Parameter(table) if relative else None)
        rows, columns = (torch.eye(cells) for cells in self.extent)
        here = [rows.repeat_interleave(len(columns), 0), columns.repeat(len(rows), 1)]
        self.register_buffer("places", torch.cat(here, dim=1), persistent=False)

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """Return what each patch (B,N,C) gathers; masks are of no use here."""
        if self.windows is None:
            return self._gather(x)
        inside = self.windows.split(x.view(len(x), *self.windows.grid, -1))
        return self.windows.join(self._gather(inside)).flatten(1, 2)

    def _gather(self, x: Tensor) -> Tensor:
        joined = self.qkv(x).view(*x.shape[:2], 3, self.num_heads, self.head_dim)
        query, key, value = joined.permute(2, 0, 3, 1, 4).unbind(0)
        query, key = self._with_positions(query, key)
        if self.fused_attn:
            found = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        else:
            found = self.attn_drop((query @ key.transpose(-2, -1)).softmax(dim=-1)) @ value
        gathered: Tensor = self.proj(found.transpose(1, 2).flatten(2))
        return gathered

    def _with_positions(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Lengthen scaled queries by their bias for each row and column, and keys by where they
        are, so that the product is the whole logit and no table of all pairs is made."""
        scaled = query * self.scale
        if self.rel_pos_h is None or self.rel_pos_w is None:
            return scaled, key
        spread = query.view(*query.shape[:2], *self.extent, self.head_dim)
        by_row = torch.einsum("bhyxc,ykc->bhyxk", spread, _of_pairs(self.rel_pos_h))
        by_column = torch.einsum("bhyxc,xkc->bhyxk", spread, _of_pairs(self.rel_pos_w))
        biases = torch.cat([by_row, by_column], dim=-1).flatten(2, 3)
        places = self.places.to(key.dtype).expand(*key.shape[:2], -1, -1)
        return torch.cat([scaled, biases], dim=-1), torch.cat([key, places], dim=-1)


def _of_pairs(table: Tensor) -> Tensor:
    """Return the vector (n,n,C) of each query's offset from each key, of a table (2n-1,C)."""
    cells = (len(table) + 1) // 2
    at = torch.arange(cells, device=table.device)
    return table[at.unsqueeze(1) - at + cells - 1]


def divide(blocks: Any, arch: VitArch, grid: Grid) -> None:
    """Set the windows of an encoder's blocks, each with `WindowedAttention`."""
    for number, block in enumerate(blocks):
        whole = number in (arch.global_blocks or ())
        block.attn.divide(grid, 0 if whole else arch.window_size, arch.rel_pos)


def divided(found: AttentionMap, windows: Windows) -> WindowAttention:
    """Return what was recorded of a block with windows, those of all images in one row."""
    return windows.attention(found.block, found.stage, found.probabilities, found.key_positions)


def fit(tensors: Tensors, arch: VitArch, old: Grid, new: Grid) -> Fitted:
    """Return the tensors of a file in the shapes of an encoder with windows; see Family.fit.

    Tables of relative positions go to another extent by linear interpolation (get_rel_pos of
    detectron2 modeling/backbone/utils.py).
    """
    values, converted = dict(tensors), {}
    if spread := dict(_spread(tensors, arch, new)):
        values |= spread
        converted["relative positions to another extent, linear"] = list(spread)
    table, rule = tensors[POSITIONS], str(arch.position_resize)
    steps = []
    if (extra := table.shape[1] - old[0] * old[1]) > 0:
        table = table[:, extra:]
        steps.append(f"without {extra} rows of tokens before the patches")
    if old != new:
        table = resize_absolute(table, 0, old, new, rule)
        steps.append(f"{old[0]}x{old[1]} to {new[0]}x{new[1]}, {rule}")
    if steps:
        values[POSITIONS] = table
        converted[f"position table {', '.join(steps)}"] = [POSITIONS]
    return Fitted(values, converted)


def _spread(tensors: Tensors, arch: VitArch, grid: Grid) -> Iterator[tuple[str, Tensor]]:
    """Yield the tables of relative positions that are of another extent, in that of a map."""
    for name, table in tensors.items():
        leaf = name.rsplit(".", 1)[-1]
        if leaf not in RELATIVE:
            continue
        whole = int(name.split(".")[2]) in (arch.global_blocks or ())
        cells = grid[RELATIVE.index(leaf)] if whole else arch.window_size
        if len(table) != 2 * cells - 1:
            offsets = functional.interpolate(table.T[None], size=2 * cells - 1, mode="linear")
            yield name, offsets[0].T.contiguous()
