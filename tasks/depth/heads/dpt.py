"""A head after DPT (Ranftl et al. 2021, Vision Transformers for Dense Prediction)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from tasks.depth.heads.contract import Head, enlarged, resized, within

if TYPE_CHECKING:
    from backbones import FeatureInfo

STRIDES = (4, 8, 16, 32)
"""Pixels a cell of the four levels after reassembling."""

LAST = 32
"""Channels before the last convolution."""


class DPTHead(Head):
    """Each of four maps is reassembled at a stride of its own, then they are fused from the
    coarsest to the finest, each time at twice the size, and read out.

    Differences from the paper: tokens that are no patches are ignored (its `ignore`, not its
    `project`), since most encoders have none; enlarging takes pixels as squares; the last step is
    a sigmoid times the largest depth, since depth is metric here.

    Args:
        infos: of the four maps, finest first; of a plain encoder four alike.
        channels: of the levels; 256 in the paper.
        farthest: the largest depth in metres.
    """

    def __init__(self, infos: tuple[FeatureInfo, ...], channels: int, farthest: float) -> None:
        super().__init__()
        self.farthest = farthest
        self.reassembled = nn.ModuleList(
            _reassemble(info, stride, channels) for info, stride in zip(infos, STRIDES, strict=True)
        )
        self.fused = nn.ModuleList(_Fusion(channels, skip=k < 3) for k in range(len(STRIDES)))
        half = max(1, channels // 2)
        self.first = nn.Conv2d(channels, half, 3, padding=1)
        self.last = nn.Sequential(
            nn.Conv2d(half, LAST, 3, padding=1), nn.ReLU(), nn.Conv2d(LAST, 1, 1)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        levels = [f(x) for f, x in zip(self.reassembled, maps, strict=True)]
        x: Tensor | None = None
        for fusion, level in zip(reversed(self.fused), reversed(levels), strict=True):
            x = fusion(level, x)
        return within(self.last(enlarged(self.first(x), 2)), self.farthest)


def _reassemble(info: FeatureInfo, stride: int, channels: int) -> nn.Module:
    """To another width, by a 1x1 convolution; to another stride where it is next to twice as fine
    or coarse or more, learned; then a 3x3 convolution."""
    ratio = info.stride / stride
    size: list[nn.Module] = []
    if (finer := round(ratio)) > 1:
        size = [nn.ConvTranspose2d(channels, channels, finer, stride=finer)]
    elif (coarser := round(1 / ratio)) > 1:
        size = [nn.Conv2d(channels, channels, 3, stride=coarser, padding=1)]
    last = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(nn.Conv2d(info.channels, channels, 1), *size, last)


class _Fusion(nn.Module):
    """A level through a residual unit, added to the coarser one where there is any; another unit,
    x2, a 1x1 convolution."""

    def __init__(self, channels: int, skip: bool) -> None:
        super().__init__()
        self.before = _Residual(channels) if skip else None
        self.after = _Residual(channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, level: Tensor, coarser: Tensor | None) -> Tensor:
        if self.before is not None and coarser is not None:
            rows, columns = level.shape[-2:]
            level = resized(coarser, (rows, columns)) + self.before(level)
        fused: Tensor = self.out(enlarged(self.after(level), 2))
        return fused


class _Residual(nn.Module):
    """Two 3x3 convolutions, each with a ReLU before it, beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(self.first(x.relu()).relu())
        return x + inner
