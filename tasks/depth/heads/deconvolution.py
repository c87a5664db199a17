"""The head of MIM-Depth-Estimation (models/model.py of that repository), after SimMIM's authors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tasks.depth.fitting import BILINEAR, doublings
from tasks.depth.heads.contract import Convolution, Head, enlarged, reset_norms, within

if TYPE_CHECKING:
    from backbones import FeatureInfo


class DeconvolutionHead(Head):
    """Deconvolutions of kernel and stride 2 with batch norm and ReLU, a 3x3 convolution with both,
    bilinear doublings, two 3x3 convolutions with ReLU between, a sigmoid times the largest depth.

    Parameters have the names of the published files, `decoder.` aside.

    Args:
        info: of the encoder's last map.
        filters: channels of each deconvolution.
        channels: of the convolutions.
        farthest: the largest depth in metres.
        init_std: deviation of all weights; biases begin at 0.
    """

    def __init__(
        self,
        info: FeatureInfo,
        filters: tuple[int, ...],
        channels: int,
        farthest: float,
        init_std: float,
    ) -> None:
        super().__init__()
        self.farthest, self.init_std = farthest, init_std
        self.bilinear = min(BILINEAR, doublings(info.stride))
        widths = (info.channels, *filters)
        self.deconv_layers = nn.Sequential(*_deconvolutions(widths))
        self.conv_layers = nn.Sequential(
            nn.Conv2d(widths[-1], channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.last_layer_depth = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = self.conv_layers(self.deconv_layers(maps[-1]))
        for _ in range(self.bilinear):
            x = enlarged(x, 2)
        return within(self.last_layer_depth(x), self.farthest)

    def initialise(self, generator: torch.Generator) -> None:
        for layer in self.modules():
            if isinstance(layer, Convolution):
                nn.init.normal_(layer.weight, std=self.init_std, generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        reset_norms(self)


def _deconvolutions(widths: tuple[int, ...]) -> Iterator[nn.Module]:
    for before, after in pairwise(widths):
        yield nn.ConvTranspose2d(before, after, 2, stride=2, bias=False)
        yield nn.BatchNorm2d(after)
        yield nn.ReLU()
