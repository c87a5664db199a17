"""Position tables for another input size, by the rules of the published code."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from backbones.errors import LoadError

Grid = tuple[int, int]

RESIZES = ("bicubic", "bicubic_antialias", "bicubic_offset", "bilinear_corners")
"""Rules for absolute tables; see `resize_absolute`."""

_OFFSET = 0.1


def grid_of(size: tuple[int, int], patch: int) -> Grid:
    """Return the rows and columns of patches that cover an image; the last ones may stick out."""
    return -(-size[0] // patch), -(-size[1] // patch)


def centres(grid: Grid, pixels: int, size: tuple[int, int], begin: int = 0) -> Tensor:
    """Return the places (N,2) of a map's cells in raster order as (x,y); see AttentionMap.

    Args:
        grid: rows and columns of the map.
        pixels: side of a cell in input pixels.
        size: (H,W) of the input.
        begin: pixels by which the first cell begins left of and above the input.
    """
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")
    middles = (torch.stack([columns.flatten(), rows.flatten()], dim=1) + 0.5) * pixels - begin
    return middles.minimum(torch.tensor([size[1], size[0]]))


def resize_absolute(table: Tensor, prefix: int, old: Grid, new: Grid, rule: str) -> Tensor:
    """Resize an absolute position table (1, prefix + rows * columns, C).

    Args:
        table: what is resized; the rows of the prefix stay.
        prefix: number of rows before those of the grid.
        old, new: the grid of the table, and the one that is wanted.
        rule: "bicubic": to the new size (DeiT main.py, MAE util/pos_embed.py);
            "bicubic_antialias": the same with antialiasing (timm, open_clip, DINOv2 with
            registers);
            "bicubic_offset": by the factor (new + 0.1) / old, so that what is read lies a little
            elsewhere (interpolate_pos_encoding of DINO, iBOT and DINOv2 without registers);
            "bilinear_corners": linear, the outermost places staying where they are (resample_posemb
            of big_vision, by scipy.ndimage.zoom).

    Raises:
        LoadError: the table is not that of the old grid.
    """
    if table.shape[:-1] != (1, prefix + old[0] * old[1]):
        raise _another("position table", table, old, f"(1, {prefix + old[0] * old[1]}, width)")
    tokens = table[:, prefix:].reshape(1, *old, -1).permute(0, 3, 1, 2)
    if rule == "bicubic_offset":
        factors = [(b + _OFFSET) / a for a, b in zip(old, new, strict=True)]
        tokens = functional.interpolate(tokens, scale_factor=factors, mode="bicubic")
    elif rule == "bilinear_corners":
        tokens = functional.interpolate(tokens, size=new, mode="bilinear", align_corners=True)
    else:
        antialias = rule == "bicubic_antialias"
        tokens = functional.interpolate(tokens, size=new, mode="bicubic", antialias=antialias)
    return torch.cat([table[:, :prefix], tokens.flatten(2).transpose(1, 2)], dim=1)


def resize_relative(table: Tensor, old: Grid, new: Grid, extra: int = 3) -> Tensor:
    """Resize a table of relative position biases ((2h-1)(2w-1) + extra, heads).

    The rule of BEiT and SimMIM (utils.py): the old offsets are spread out in geometric progression
    until they span the new ones, and a bicubic spline through them is read at every new offset. The
    last rows stay: three of the class token in a BEiT-style ViT, none in a Swin. The published code
    knows square grids only; here each axis follows the rule by itself, and an axis that does not
    change keeps its offsets.

    Raises:
        LoadError: an axis of the old table has fewer than 4 offsets, too few for the spline, or
            the table is not that of the old grid.
    """
    # Half a second to import, and needed at another size alone.
    from scipy.interpolate import RectBivariateSpline

    spans = [2 * side - 1 for side in old]
    count = spans[0] * spans[1]
    if table.shape[:-1] != (count + extra,):
        expected = f"({count + extra}, heads)"
        raise _another("relative position table", table, old, expected)
    if min(spans) < 4:
        raise LoadError(
            f"the relative position table of a {old[0]}x{old[1]} grid cannot be resized to "
            f"{new[0]}x{new[1]}: the published rule needs at least 3x3; use the size of the file"
        )
    rows, columns = (_spread(a, b) for a, b in zip(old, new, strict=True))
    targets = [np.arange(-(side - 1), side, dtype=np.float64) for side in new]
    values = table[:count].float().numpy().reshape(*spans, -1)
    resized = [
        RectBivariateSpline(rows, columns, values[:, :, head], kx=3, ky=3)(*targets).ravel()
        for head in range(values.shape[-1])
    ]
    body = torch.from_numpy(np.stack(resized, axis=1)).to(table.dtype)
    return torch.cat([body, table[count:]])


def _another(what: str, table: Tensor, grid: Grid, expected: str) -> LoadError:
    return LoadError(
        f"a {what} has shape {tuple(table.shape)}, expected {expected} of a {grid[0]}x{grid[1]} "
        "grid; give the size of the training images: arch={'image_size': [height, width]}"
    )


def _spread(old: int, new: int) -> NDArray[np.float64]:
    """Return where the offsets -(old-1)..old-1 lie among the new ones."""
    if old == new:
        return np.arange(-(old - 1), old, dtype=np.float64)
    low, high = 1.01, 1.5
    ratio = high
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (1 - ratio ** (old - 1)) / (1 - ratio) > new - 1:
            high = ratio
        else:
            low = ratio
    # Summed term by term, as the published code does: the same rounding.
    positions, reach = [], 1.0
    for i in range(old - 1):
        positions.append(reach)
        reach += ratio ** (i + 1)
    return np.array([-p for p in reversed(positions)] + [0.0] + positions)


def sine_cosine(dim: int, grid: Grid, prefix: int) -> Tensor:
    """Return MAE's fixed position table (1, prefix + rows * columns, dim), zero for the prefix.

    Half of the channels encode the column, half the row, each sines then cosines of frequencies
    10000 ** (-4 i / dim) (He et al., 2022, after Vaswani et al., 2017).
    """
    frequencies = 10000.0 ** -(np.arange(dim // 4, dtype=np.float64) / (dim / 4))
    rows, columns = np.meshgrid(np.arange(grid[0]), np.arange(grid[1]), indexing="ij")
    halves = []
    for coordinate in (columns, rows):
        angles = coordinate.reshape(-1, 1) * frequencies
        halves += [np.sin(angles), np.cos(angles)]
    table = np.concatenate([np.zeros((prefix, dim)), np.concatenate(halves, axis=1)])
    return torch.from_numpy(table).float().unsqueeze(0)
