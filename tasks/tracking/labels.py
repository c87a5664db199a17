"""What a search image's box asks of the cells of its map."""

from __future__ import annotations

import torch
from torch import Tensor


def touched(boxes: Tensor, grid: tuple[int, int], stride: int) -> Tensor:
    """Which cells a box touches, its ends included: a box that ends on a border between two cells
    touches both (SwinTrack's TransTLabelGenerator).

    Args:
        boxes: (B,4) x1 y1 x2 y2 in pixels.
        grid: rows and columns.
        stride: pixels a cell.

    Returns:
        (B,h,w) bool.
    """
    first, last = (boxes[:, ends].div(stride).floor() for ends in (slice(2), slice(2, 4)))
    columns, rows = (
        (cells >= first[:, axis, None]) & (cells <= last[:, axis, None])
        for axis, cells in enumerate(torch.arange(n, device=boxes.device) for n in reversed(grid))
    )
    return rows[:, :, None] & columns[:, None, :]


def shares(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Centre x, centre y, width and height as shares of an image's (height, width) in pixels, of
    boxes (B,4) x1 y1 x2 y2 in pixels."""
    height, width = size
    scaled = boxes / boxes.new_tensor([width, height, width, height])
    first, last = scaled[:, :2], scaled[:, 2:]
    return torch.cat([(first + last) / 2, last - first], dim=1)
