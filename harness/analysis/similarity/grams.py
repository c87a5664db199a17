"""The Gram matrices of a minibatch, of tokens on each grid that layers are compared on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from harness.analysis.grids import Grid
from harness.analysis.similarity.cka import Minibatches, gram

Cells = tuple[int, int]
"""Rows and columns."""
Layers = list[tuple[Tensor, Grid]]
"""Of each block the patch tokens (m,h*w,C) and their grid."""


def common(first: Grid, second: Grid) -> Cells:
    """The grid that two layers are compared on: the coarser one."""
    return min(first.rows, second.rows), min(first.columns, second.columns)


class Tokens:
    """CKA of tokens between all pairs of layers, each pair on its common grid: maps that are finer
    are averaged over the cells of the coarser one."""

    def __init__(self) -> None:
        self._by_grid: dict[Cells, Minibatches] = {}
        self._grids: tuple[list[Grid], list[Grid]] = ([], [])

    def add(self, first: Layers, second: Layers | None = None) -> None:
        """Take a minibatch of one encoder, or of two."""
        other = first if second is None else second
        self._grids = [grid for _, grid in first], [grid for _, grid in other]
        for cells in sorted({common(a, b) for _, a in first for _, b in other}):
            mine = [gram(pooled_to(x, grid, cells)) for x, grid in first]
            theirs = None if second is None else [gram(pooled_to(*each, cells)) for each in second]
            self._by_grid.setdefault(cells, Minibatches()).add(mine, theirs)

    def estimate(self) -> tuple[Tensor, Tensor | None]:
        """CKA (A,B) and its standard error, as `Minibatches.estimate`."""
        first, second = self._grids
        values = torch.full((len(first), len(second)), torch.nan, dtype=torch.float64)
        errors: Tensor | None = values.clone()
        for cells, minibatches in self._by_grid.items():
            here = torch.tensor([[common(a, b) == cells for b in second] for a in first])
            found, error = minibatches.estimate()
            values[here] = torch.from_numpy(found)[here]
            if error is None or errors is None:
                errors = None
            else:
                errors[here] = torch.from_numpy(error)[here]
        return values, errors


def pooled_to(tokens: Tensor, grid: Grid, cells: Cells) -> Tensor:
    """Tokens (m,h*w,C) averaged to a grid of so many cells; a side that already has no more cells
    stays."""
    size = min(grid.rows, cells[0]), min(grid.columns, cells[1])
    if size == (grid.rows, grid.columns):
        return tokens
    maps = tokens.transpose(1, 2).reshape(len(tokens), -1, grid.rows, grid.columns)
    return functional.adaptive_avg_pool2d(maps, size)


def mean_tokens(layers: Layers) -> list[Tensor]:
    """The mean patch token (m,C) of every block."""
    return [tokens.mean(dim=1) for tokens, _ in layers]


def joined(parts: Sequence[Layers]) -> Layers:
    """Parts of a minibatch as one."""
    return [
        (torch.cat([part[block][0] for part in parts]), grid)
        for block, (_, grid) in enumerate(parts[0])
    ]
