"""The modules of a ConvNeXt, of timm's layers, and its masked form.

Sparse convolution (ConvNeXt V2, section 3.1) computes what is seen alone, and takes the rest for
zero. Here everything is computed and what is hidden set to zero again, before each layer that looks
at other cells and at the end of each block: the same numbers, on a dense map.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from timm.layers.norm import LayerNorm, LayerNorm2d
from timm.models.convnext import ConvNeXtBlock, ConvNeXtStage
from torch import Tensor, nn
from torch.nn import functional

from backbones.families.convnext_arch import ConvNextArch


class ConvNextEncoder(nn.Module):
    """Stem, stages and, where the file has one, the final norm. Parameters have timm's names.

    Args:
        arch: the architecture.
    """

    stages: Any

    def __init__(self, arch: ConvNextArch) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, arch.dims[0], arch.patch_size, arch.patch_size),
            LayerNorm2d(arch.dims[0], eps=arch.norm_eps),
        )
        self.stages = nn.ModuleList(_stage(arch, i) for i in range(len(arch.depths)))
        self.norm = LayerNorm2d(arch.dims[-1], eps=arch.norm_eps) if arch.final_norm else None

    def halved(self, stage: int, x: Tensor) -> Tensor:
        """Return the map (B,C,h,w) of the stage before, as a stage takes it.

        An odd map is padded with zeros at the right and the bottom, after its norm.
        """
        if stage == 0:
            return x
        norm, convolution = self.stages[stage].downsample
        return cast(Tensor, convolution(whole_cells(norm(x), 2)))

    def normed(self, x: Tensor) -> Tensor:
        """Return the last map (B,C,h,w) after the final norm, itself where there is none."""
        return x if self.norm is None else cast(Tensor, self.norm(x))


class FcmaeDecoder(nn.Module):
    """FCMAE's decoder: a mask token, ConvNeXt V2 blocks and a layer to the pixels of each cell.

    Args:
        arch: the architecture.
    """

    def __init__(self, arch: ConvNextArch) -> None:
        super().__init__()
        width, self.stride = arch.decoder_embed_dim, arch.strides[-1]
        self.proj = nn.Conv2d(arch.dims[-1], width, 1)
        self.mask_token = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.blocks = nn.Sequential(
            *(_block(arch, width, 7, 4.0, None) for _ in range(arch.decoder_depth))
        )
        self.pred = nn.Conv2d(width, 3 * self.stride**2, 1)

    def forward(self, features: Tensor, hidden: Tensor) -> Tensor:
        """Return the image (B,3,h*stride,w*stride).

        Args:
            features: (B,C,h,w), the last map.
            hidden: (B,1,h,w) bool, the cells whose features the token stands for.
        """
        projected = self.proj(features)
        x = torch.where(hidden, self.mask_token.to(projected.dtype), projected)
        return _as_image(self.pred(self.blocks(x)), self.stride)


def whole_cells(x: Tensor, side: int) -> Tensor:
    """Return a map padded with zeros at the right and the bottom, so that `side` divides it."""
    bottom, right = -x.shape[2] % side, -x.shape[3] % side
    return functional.pad(x, (0, right, 0, bottom)) if bottom or right else x


def where_seen(block: Any, x: Tensor, seen: Tensor) -> Tensor:
    """Return the map after a block, computed from the seen cells alone.

    Args:
        block: timm's block.
        x: (B,C,h,w), zero where hidden.
        seen: (B,1,h,w), 1 where seen and 0 elsewhere.
    """
    inner = block.norm(block.conv_dw(x).permute(0, 2, 3, 1))
    units = block.mlp.act(block.mlp.fc1(inner)) * seen.permute(0, 2, 3, 1)
    if hasattr(block.mlp, "grn"):
        units = block.mlp.grn(units)
    branch = block.mlp.fc2(units).permute(0, 3, 1, 2)
    if block.gamma is not None:
        branch = branch * block.gamma.view(1, -1, 1, 1)
    return cast(Tensor, (x + block.drop_path(branch)) * seen)


def _stage(arch: ConvNextArch, number: int) -> nn.Module:
    width = arch.dims[number]
    before = arch.dims[max(number - 1, 0)]
    stage = ConvNeXtStage(before, width, stride=2 if number else 1, depth=0, norm_layer=_norm(arch))
    stage.blocks = nn.Sequential(
        *(
            _block(arch, width, arch.kernel_size, arch.mlp_ratio, arch.layer_scale)
            for _ in range(arch.depths[number])
        )
    )
    return stage


def _norm(arch: ConvNextArch) -> Any:
    return lambda width, **_: LayerNorm2d(width, eps=arch.norm_eps)


def _block(
    arch: ConvNextArch, width: int, kernel: int, ratio: float, scale: float | None
) -> ConvNeXtBlock:
    return ConvNeXtBlock(
        width,
        kernel_size=kernel,
        mlp_ratio=ratio,
        use_grn=arch.grn,
        ls_init_value=scale,
        norm_layer=lambda channels, **_: LayerNorm(channels, eps=arch.norm_eps),
    )


def _as_image(cells: Tensor, side: int) -> Tensor:
    """Put the pixels (B,side*side*3,h,w) of each cell, colour last, in their places."""
    count, _, rows, columns = cells.shape
    pixels = cells.view(count, side, side, 3, rows, columns)
    return pixels.permute(0, 3, 4, 1, 5, 2).reshape(count, 3, rows * side, columns * side)
