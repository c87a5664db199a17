"""Maps of several strides from the encoder's: FPN, or ViTDet's simple feature pyramid.

Both give L + 1 maps (B, channels, h, w), finest first: one a stride of the recipe, and every second
cell of the last.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.detection.parts.initialise import default, xavier
from tasks.detection.parts.norm import MapNorm, NormedConv

if TYPE_CHECKING:
    from backbones import FeatureInfo
    from tasks.detection.recipe import NeckRecipe


def build(neck: NeckRecipe, infos: tuple[FeatureInfo, ...]) -> FeaturePyramid | SimplePyramid:
    """The neck of a recipe that is fitted to an encoder with maps `infos`."""
    return SimplePyramid(neck, infos[-1]) if neck.type == "simple" else FeaturePyramid(neck, infos)


class FeaturePyramid(nn.Module):
    """mmdet's FPN (Lin et al. 2017) on the maps whose strides the recipe has, of equal ones the
    last, each with a LayerNorm of its own before (Swin's detection code)."""

    def __init__(self, neck: NeckRecipe, infos: tuple[FeatureInfo, ...]) -> None:
        from tasks import openmmlab

        super().__init__()
        self.taken = list(levels(infos, neck.strides[0]).values())
        channels = [infos[i].channels for i in self.taken]
        self.norms = nn.ModuleList(
            MapNorm(width, eps=1e-5) if neck.map_norm else nn.Identity() for width in channels
        )
        self.fpn: Any = openmmlab.load("mmdet.models.necks.fpn").FPN(
            in_channels=channels,
            out_channels=neck.channels,
            num_outs=len(channels) + 1,
            norm_cfg={"type": MapNorm, "eps": 1e-6} if neck.norm == "layer" else None,
        )

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        taken = (maps[i] for i in self.taken)
        normed = tuple(norm(x) for norm, x in zip(self.norms, taken, strict=True))
        return list(self.fpn(normed))

    def initialise(self, generator: torch.Generator) -> None:
        """Xavier, uniform (mmdet's FPN)."""
        for layer in self.modules():
            xavier(layer, generator)


def levels(infos: tuple[FeatureInfo, ...], finest: float) -> dict[int, int]:
    """Stride -> number of the last map that has it, of strides from `finest` on."""
    found = {info.stride: i for i, info in enumerate(infos) if info.stride >= finest}
    return found or {infos[-1].stride: len(infos) - 1}


class SimplePyramid(nn.Module):
    """ViTDet's maps from the last one alone (Li et al. 2022, section 3).

    A finer map comes from 2x2 deconvolutions that halve the channels, with LayerNorm and GELU
    between them, a coarser one from a max-pool; a 1x1 and a 3x3 convolution follow.
    """

    def __init__(self, neck: NeckRecipe, info: FeatureInfo) -> None:
        super().__init__()
        normed = neck.norm == "layer"
        self.levels = nn.ModuleList()
        for stride in neck.strides:
            layers, width = _scaling(info.channels, round(log2(info.stride / stride)), normed)
            layers.append(NormedConv(width, neck.channels, 1, normed))
            layers.append(NormedConv(neck.channels, neck.channels, 3, normed))
            self.levels.append(nn.Sequential(*layers))

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        found = [level(maps[-1]) for level in self.levels]
        return [*found, functional.max_pool2d(found[-1], 1, stride=2)]

    def initialise(self, generator: torch.Generator) -> None:
        """torch's own, as ViTDet leaves it."""
        for layer in self.modules():
            default(layer, generator)


def _scaling(width: int, doublings: int, normed: bool) -> tuple[list[nn.Module], int]:
    """Layers that enlarge a map 2^doublings times, and the channels after them."""
    if doublings <= 0:
        return [nn.MaxPool2d(2**-doublings)] if doublings else [], width
    layers: list[nn.Module] = []
    for n in range(doublings):
        layers.append(nn.ConvTranspose2d(width, width // 2, 2, stride=2))
        width //= 2
        if n < doublings - 1:
            layers += [MapNorm(width), nn.GELU()] if normed else [nn.GELU()]
    return layers, width
