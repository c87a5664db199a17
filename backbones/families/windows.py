"""How the Swin family divides a map into windows, and how their attention is read in the whole map.

The map is padded with zeros at the right and the bottom to whole windows, and rolled then. Where
windows divide the map that is the published classification code; where they do not, it is that of
Swin's detection code and of MIM-Depth-Estimation, the ones that take such sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from backbones.contract import AttentionMap, WindowAttention
from backbones.families.positions import Grid

FORBIDDEN = -100.0
"""Added to the logits of pairs that only rolling made neighbours: the published value, which a
large logit scale of SwinV2 can outweigh."""


@dataclass(frozen=True)
class Windows:
    """The windows of one block. B images, n windows, C channels.

    Attributes:
        grid: rows and columns of the map.
        side: rows and columns of a window.
        shift: cells by which the map is rolled up and to the left.
    """

    grid: Grid
    side: int
    shift: int

    @property
    def padded(self) -> Grid:
        """Rows and columns of whole windows that cover the map."""
        rows, columns = (-(-cells // self.side) * self.side for cells in self.grid)
        return rows, columns

    def split(self, x: Tensor) -> Tensor:
        """Cut a map (B,h,w,C) into windows (B*n, side*side, C)."""
        bottom, right = (p - g for p, g in zip(self.padded, self.grid, strict=True))
        if bottom or right:
            x = functional.pad(x, (0, 0, 0, right, 0, bottom))
        return self._cut(self._rolled(x, -self.shift))

    def join(self, windows: Tensor) -> Tensor:
        """Put windows (B*n, side*side, C) together to a map (B,h,w,C)."""
        rows, columns = (cells // self.side for cells in self.padded)
        x = windows.view(-1, rows, columns, self.side, self.side, windows.shape[-1])
        x = x.transpose(2, 3).reshape(-1, *self.padded, windows.shape[-1])
        return self._rolled(x, self.shift)[:, : self.grid[0], : self.grid[1]]

    def mask(self) -> Tensor | None:
        """Return what is added to the logits, (n, side*side, side*side), None without a shift."""
        if not self.shift:
            return None
        rows, columns = (self._regions(cells) for cells in self.padded)
        labels = self._cut((3 * rows.unsqueeze(1) + columns).view(1, *self.padded, 1)).squeeze(-1)
        return (labels.unsqueeze(1) != labels.unsqueeze(2)) * FORBIDDEN

    def attention(
        self, block: int, stage: int, probabilities: Tensor, places: Tensor
    ) -> WindowAttention:
        """Return the attention of a block.

        Args:
            block, stage: which.
            probabilities: (B*n, heads, side*side, side*side).
            places: (g,2), positions of the map's cells in raster order.
        """
        device = probabilities.device
        numbers = self._numbers()
        real = numbers < len(places)
        allowed = real.unsqueeze(2) & real.unsqueeze(1)
        if (mask := self.mask()) is not None:
            allowed &= mask == 0
        inside = with_padding(places, numbers.numel())[numbers].to(device)
        each = probabilities.view(-1, len(numbers), *probabilities.shape[1:])
        return WindowAttention(block, stage, each, inside, inside, allowed.to(device), 0)

    def over_the_map(self, found: WindowAttention) -> AttentionMap:
        """Return what `attention` gives over the whole map, see `over_the_map`."""
        numbers = self._numbers()
        return over_the_map(found, numbers, numbers)

    def _numbers(self) -> Tensor:
        """Return the number of the cell in each place of each window, (n, side*side): of the map in
        raster order, and then of the padding."""
        (height, width), (rows, columns) = self.grid, self.padded
        real = torch.zeros(rows, columns, dtype=torch.bool)
        real[:height, :width] = True
        numbers = torch.empty(rows, columns, dtype=torch.long)
        numbers[real] = torch.arange(height * width)
        numbers[~real] = torch.arange(height * width, rows * columns)
        return self._cut(self._rolled(numbers.view(1, rows, columns, 1), -self.shift)).squeeze(-1)

    def _regions(self, cells: int) -> Tensor:
        """Number the stretches of a rolled axis that may see each other."""
        places = torch.arange(cells)
        return (places >= cells - self.side).long() + (places >= cells - self.shift).long()

    def _cut(self, x: Tensor) -> Tensor:
        side, (rows, columns) = self.side, self.padded
        x = x.reshape(-1, rows // side, side, columns // side, side, x.shape[-1]).transpose(2, 3)
        return x.reshape(-1, side * side, x.shape[-1])

    def _rolled(self, x: Tensor, by: int) -> Tensor:
        return torch.roll(x, (by, by), (1, 2)) if self.shift else x


def with_padding(places: Tensor, count: int) -> Tensor:
    """Return the places (N,2) of a map's cells and, up to `count`, NaN for its padding."""
    return torch.cat([places, places.new_full((count - len(places), 2), torch.nan)])


def over_the_map(found: WindowAttention, queries: Tensor, keys: Tensor) -> AttentionMap:
    """Return attention in windows as attention over the whole map: 0 for pairs of different
    windows, padding as keys alone, behind the cells.

    Args:
        found: in windows.
        queries, keys: (W,Q) and (W,K), the number of each token in the map: its cells in raster
            order, and then its padding.
    """
    inner = found.probabilities
    whole = inner.new_zeros(len(inner), inner.shape[2], queries.numel(), keys.numel())
    at = (queries.unsqueeze(2).to(inner.device), keys.unsqueeze(1).to(inner.device))
    whole[:, :, at[0], at[1]] = inner.transpose(1, 2)
    query_places, key_places = (
        positions.flatten(0, 1)[numbers.flatten().argsort().to(positions.device)]
        for positions, numbers in (
            (found.query_positions, queries),
            (found.key_positions, keys),
        )
    )
    real = ~query_places.isnan().any(dim=1)
    count = int(real.sum())
    return AttentionMap(
        found.block, found.stage, whole[:, :, :count], query_places[:count], key_places
    )
