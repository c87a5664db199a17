"""SwinV2: windows with cosine attention, whose biases come from an MLP on log-spaced offsets.

Architecture and initialisation: Liu et al., 2022 (Swin Transformer V2); masked input and decoder:
Xie et al., 2022 (SimMIM); the variant of the study's dense models: MIM-Depth-Estimation. No table
is resized: the MLP gives the biases of any window, in coordinates of the pre-training windows.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection
from typing import Any

from timm.models.swin_transformer_v2 import PatchMerging, SwinTransformerV2Block

from backbones.families import initialise as init
from backbones.families.arch import read_fields
from backbones.families.contract import Arch, Described, Fitted, Size, Tensors
from backbones.families.stage_encoder import InWindows, for_block
from backbones.families.stage_family import StageFamily
from backbones.families.stages import StageBackbone
from backbones.families.swinv2_arch import SwinV2Arch, by_variant, describe
from backbones.families.windows import Windows

_POST_NORM = re.compile(r"encoder\.layers\.\d+\.blocks\.\d+\.norm[12]\.weight")


class SwinV2Block(InWindows, SwinTransformerV2Block):
    """timm's block, in windows that are decided here."""

    def __init__(self, arch: SwinV2Arch, stage: int, windows: Windows) -> None:
        before = arch.pretrained_window_size[stage]
        super().__init__(**for_block(arch, stage, windows), pretrained_window_size=before)
        self.divide(windows)


class SwinV2Backbone(StageBackbone):
    """See the module."""

    block = SwinV2Block
    merging = PatchMerging

    def special(self, weights: init.Fill) -> dict[str, init.Fill]:
        """As StageBackbone says: a new block changes nothing, since its norms begin at 0."""
        fills = {"q_bias": 0.0, "v_bias": 0.0, "logit_scale": math.log(10)}
        named = [(name, name.rsplit(".", 1)[-1]) for name, _ in self.named_parameters()]
        special = {name: init.constant(fills[leaf]) for name, leaf in named if leaf in fills}
        return special | {name: init.constant(0) for name, _ in named if _POST_NORM.match(name)}


class SwinV2Family(StageFamily):
    """See the module."""

    name = "swinv2"
    keys = frozenset(f.name for f in dataclasses.fields(SwinV2Arch))
    kind = SwinV2Arch
    backbone = SwinV2Backbone
    window = 8

    def describe(self, tensors: Tensors, given: Arch) -> Described:
        return describe(tensors, given)

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = read_fields(SwinV2Arch, arch)
        return super().complete({**by_variant(given), **given}, input_size, keep)

    def fit(self, tensors: Tensors, arch: Arch, input_size: Size) -> Fitted:
        return Fitted(dict(tensors))
