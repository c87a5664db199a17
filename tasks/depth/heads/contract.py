"""What every head does, and what they have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

Convolution = nn.Conv2d | nn.ConvTranspose2d


class Head(nn.Module, ABC):
    """Depth from an encoder's maps."""

    @abstractmethod
    def forward(self, maps: list[Tensor]) -> Tensor:
        """Depth (B,1,h,w) in metres, above 0, float32. All of it stands for the pixels that the
        cells of the maps stand for; its size is what the head makes of theirs.

        Args:
            maps: (B,C_i,h_i,w_i), finest first.
        """

    def initialise(self, generator: torch.Generator) -> None:
        """Draw every parameter anew: as torch does on building a layer, from `generator`."""
        for layer in self.modules():
            if isinstance(layer, Convolution):
                weight = layer.weight
                bound = weight[0].numel() ** -0.5
                for parameter in (weight, layer.bias):
                    if parameter is not None:
                        nn.init.uniform_(parameter, -bound, bound, generator=generator)
        reset_norms(self)


def reset_norms(module: nn.Module) -> None:
    """Make batch normalisations as new."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


def within(x: Tensor, farthest: float) -> Tensor:
    """Metres between 0 and `farthest` by a sigmoid; never 0, of which there is no logarithm."""
    return (x.float().sigmoid() * farthest).clamp(min=torch.finfo(torch.float32).tiny)


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Bilinear, pixels being squares."""
    return functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, pixels being squares; as it is where it has that size."""
    if tuple(x.shape[-2:]) == size:
        return x
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)
