"""What the public codes have in common: one window, patches row by row, rarely anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from backbones import WindowAttention

RULE = "take --convention rule, which is defined for every encoder"


def one_window(found: WindowAttention, name: str) -> Tensor:
    """Return the probabilities (B,heads,T,T) of a plain ViT, prefix tokens included, as float64.

    Raises:
        UserError: windows, stages, padding, or keys other than the queries.
    """
    windows, queries, keys = found.allowed.shape
    first = found.prefix
    if found.stage or windows > 1 or queries != keys or not found.allowed[:, first:, first:].all():
        raise UserError(
            f"the convention {name} is that of a code for plain ViTs, and block {found.block} has "
            f"windows, stages or padding; {RULE}"
        )
    return found.probabilities[:, 0].double()


def side(found: WindowAttention, name: str) -> int:
    """Return the side of a square grid of patches.

    Raises:
        UserError: another grid, or one patch. Where rows x columns happens to be a square number,
            such as 9x4, the public codes read it as that square (6x6): refused all the same.
    """
    placed = found.key_positions[0, found.prefix :]
    columns, rows = (len(set(placed[:, axis].tolist())) for axis in (0, 1))
    if rows != columns or rows * columns != len(placed) or rows < 2:
        raise UserError(
            f"the code of the convention {name} takes every grid of patches for a square one, and "
            f"this is one of {rows}x{columns}; choose a square --input-size, or {RULE}"
        )
    return rows


def grid_distances(side: int, like: Tensor) -> Tensor:
    """Return (N,N) float64: distances between the patches of a square grid, in patches."""
    return grid_offsets(side, like).square().sum(dim=0).sqrt()


def grid_offsets(side: int, like: Tensor) -> Tensor:
    """Return (2,N,N) float64: columns and rows from query to key."""
    steps = torch.arange(side, dtype=torch.float64, device=like.device)
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    cells = torch.stack([columns.flatten(), rows.flatten()])
    return cells.unsqueeze(1) - cells.unsqueeze(2)
