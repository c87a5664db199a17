"""The multi-scale depth probe of probe3d (El Banani et al. 2024; evals/models/probes.py there,
`bindepth` on `dpt`, with which the paper measures)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from tasks.depth.heads.bins import expected
from tasks.depth.heads.contract import Head, resized

if TYPE_CHECKING:
    from backbones import FeatureInfo


class MultiscaleHead(Head):
    """Four maps to one width and twice the size, from the last to the first each through a residual
    unit, added to what came before, and through another; x4, two 3x3 convolutions to the scores of
    bins, x2. All enlarging takes the nearest cell. On a plain encoder of stride 16 the depth has
    the input's size.

    Maps of a hierarchical encoder are first brought to the size of its third one, bilinearly.

    Args:
        infos: of the four maps.
        channels: the one width; 512 in probe3d.
        bins: number of depths.
        nearest, farthest: first and last depth in metres.
    """

    def __init__(
        self,
        infos: tuple[FeatureInfo, ...],
        channels: int,
        bins: int,
        nearest: float,
        farthest: float,
    ) -> None:
        super().__init__()
        self.nearest, self.farthest = nearest, farthest
        self.projections = nn.ModuleList(nn.Conv2d(info.channels, channels, 1) for info in infos)
        self.before = nn.ModuleList(_Residual(channels) for _ in infos[1:])
        self.after = nn.ModuleList(_Residual(channels) for _ in infos)
        self.scores = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, bins, 3, padding=1),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        rows, columns = maps[-2].shape[-2:]
        same = [resized(x, (rows, columns)) for x in maps]
        levels = [_nearest(f(x), 2) for f, x in zip(self.projections, same, strict=True)]
        x = self.after[-1](levels[-1])
        for k in reversed(range(len(self.before))):
            x = self.after[k](self.before[k](levels[k]) + x)
        depth = expected(self.scores(_nearest(x, 4)), self.nearest, self.farthest)
        return _nearest(depth, 2)


class _Residual(nn.Module):
    """Two 3x3 convolutions, each with a ReLU after it, beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(self.first(x).relu())
        return x + inner.relu()


def _nearest(x: Tensor, factor: int) -> Tensor:
    return functional.interpolate(x, scale_factor=factor, mode="nearest")
