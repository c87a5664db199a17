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

    def whole(self, probabilities: Tensor) -> Tensor:
        """Spread the attention in windows over the map.

        Args:
            probabilities: (B*n, heads, side*side, side*side).

        Returns:
            (B, heads, Q, K): the cells of the map in raster order as queries, the same and then
            the padding as keys; 0 for pairs of different windows.
        """
        places = self._places().to(probabilities.device)
        count, heads = places.numel(), probabilities.shape[1]
        inner = probabilities.view(-1, len(places), *probabilities.shape[1:]).transpose(1, 2)
        spread = probabilities.new_zeros(len(inner), heads, count, count)
        spread[:, :, places.unsqueeze(2), places.unsqueeze(1)] = inner
        return spread[:, :, : self.grid[0] * self.grid[1]]

    def positions(self, pixels: int, size: tuple[int, int]) -> Tensor:
        """Return the places (K,2) of the keys as (x,y), NaN for padding; see AttentionMap.

        Args:
            pixels: side of a cell in input pixels.
            size: (H,W) of the input.
        """
        rows, columns = torch.meshgrid(*(torch.arange(n) for n in self.grid), indexing="ij")
        centres = (torch.stack([columns.flatten(), rows.flatten()], dim=1) + 0.5) * pixels
        inside = centres.minimum(torch.tensor([size[1], size[0]]))
        extra = self.padded[0] * self.padded[1] - len(inside)
        return torch.cat([inside, torch.full((extra, 2), torch.nan)])

    def _places(self) -> Tensor:
        """Return the number of the key in each place of each window, (n, side*side)."""
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
