"""Convolutions over maps (B, C, h, w), with a LayerNorm over the channels of each cell."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6
"""Of every LayerNorm of neck and heads (detectron2's, which ViTDet uses)."""


class MapNorm(nn.LayerNorm):
    """LayerNorm over the channels of each cell of a map (B, C, h, w)."""

    def __init__(self, channels: int, eps: float = EPSILON) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        cells = x.movedim(1, -1)
        return functional.layer_norm(
            cells, self.normalized_shape, self.weight, self.bias, self.eps
        ).movedim(-1, 1)


class NormedConv(nn.Conv2d):
    """A convolution that keeps the map's size, followed by `MapNorm` in place of its bias where
    `normed`."""

    def __init__(self, inward: int, outward: int, kernel: int, normed: bool) -> None:
        super().__init__(inward, outward, kernel, padding=kernel // 2, bias=not normed)
        self.norm = MapNorm(outward) if normed else None

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.norm is None else cast(Tensor, self.norm(x))
