"""SimMIM's mask token and decoder (Xie et al., 2022), for any encoder that gives a map."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelDecoder(nn.Module):
    """SimMIM's mask token and decoder: a 1x1 convolution to the pixels of each cell.

    Args:
        token_width: channels of the patch embedding, whose place the token takes.
        width: channels of the map.
        stride: side of its cells in pixels.
    """

    def __init__(self, token_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(1, 1, token_width))
        self.conv = nn.Conv2d(width, 3 * stride**2, kernel_size=1)
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """Return (B,3,h*stride,w*stride) for a map (B,C,h,w)."""
        return nn.functional.pixel_shuffle(self.conv(features), self.stride)
