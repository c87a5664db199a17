"""Swin transformers: windows with a table of relative positions in each block.

Architecture and initialisation: Liu et al., 2021 (Swin Transformer); masked input and decoder: Xie
et al., 2022 (SimMIM).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock

from backbones.families import initialise as init
from backbones.families.arch import norm_note, read_fields
from backbones.families.contract import Arch, Described, Fitted, Size, Tensors
from backbones.families.positions import resize_relative
from backbones.families.stage_arch import (
    BLOCK,
    NORM_EPS,
    StageArch,
    checked,
    heads_of,
    read_off,
    size_by_rule,
    stage_of,
    window_side,
)
from backbones.families.stage_encoder import InWindows, for_block
from backbones.families.stage_family import StageFamily
from backbones.families.stages import StageBackbone
from backbones.families.windows import Windows

BIAS = "relative_position_bias_table"


@dataclass(frozen=True)
class SwinArch(StageArch):
    """A Swin transformer; see StageArch.

    Attributes:
        pad_small_maps: whether maps are padded to whole windows however small they are, and odd
            blocks always shift, as in detection code; else windows shrink, and do not shift where
            they cover their map.
    """

    pad_small_maps: bool = False

    def windows(self, size: Size) -> Iterator[list[Windows]]:
        if not self.pad_small_maps:
            yield from super().windows(size)
            return
        for side, depth, grid in zip(self.sides(size), self.depths, self.grids(size), strict=True):
            yield [Windows(grid, side, side // 2 * (i % 2)) for i in range(depth)]


class SwinBlock(InWindows, SwinTransformerBlock):
    """timm's block, in windows that are decided here."""

    def __init__(self, arch: SwinArch, stage: int, windows: Windows) -> None:
        super().__init__(**for_block(arch, stage, windows))
        self.divide(windows)


class SwinBackbone(StageBackbone):
    """See the module."""

    block = SwinBlock
    merging = PatchMerging

    def special(self, weights: init.Fill) -> dict[str, init.Fill]:
        return {name: weights for name, _ in self.named_parameters() if name.endswith(BIAS)}


class SwinFamily(StageFamily):
    """See the module."""

    name = "swin"
    keys = frozenset(f.name for f in dataclasses.fields(SwinArch))
    kind = SwinArch
    backbone = SwinBackbone
    window = 7

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        given = read_fields(SwinArch, given)
        found = read_off(tensors)
        stages = len(found["depths"])
        found["num_heads"] = heads_of(tensors, stages, BIAS, ("offsets", "heads"), 1)
        tables = [f"{BLOCK.format(i, 0)}.attn.{BIAS}" for i in range(stages)]
        found["trained_window"] = tuple(window_side(tensors[name], name) for name in tables)
        found["qkv_bias"] = f"{BLOCK.format(0, 0)}.attn.qkv.bias" in tensors
        notes: tuple[str, ...] = ()
        if "image_size" not in given:
            found["image_size"], notes = size_by_rule(found)
        arch = checked(SwinArch, {**found, **given})
        return Described(dataclasses.asdict(arch), notes + norm_note(given, NORM_EPS))

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        shape = checked(SwinArch, arch)
        new = [blocks[0].side for blocks in shape.windows(input_size)]
        values, converted = dict(tensors), dict[str, list[str]]()
        for name in (name for name in tensors if name.endswith(BIAS)):
            stage = stage_of(name)
            old, side = shape.trained_window[stage], new[stage]
            if old != side:
                values[name] = resize_relative(tensors[name], (old, old), (side, side), extra=0)
                rule = f"bias table {old}x{old} to {side}x{side} by geometric spline"
                converted.setdefault(rule, []).append(name)
        return Fitted(values, converted)
