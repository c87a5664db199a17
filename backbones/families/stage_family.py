"""What the families Swin and SwinV2 have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, ClassVar

from backbones.contract import Backbone, BackboneSpec
from backbones.errors import LoadError
from backbones.families.arch import check_head, read_fields, shorten_stage
from backbones.families.contract import Arch, Family, Size
from backbones.families.stage_arch import StageArch, checked, heads_by_rule
from backbones.families.stages import StageBackbone


class StageFamily(Family):
    """A family of encoders with stages.

    Attributes:
        kind: its architecture.
        backbone: its encoder.
        window: the published side of a new encoder's windows.
    """

    kind: ClassVar[type[StageArch]]
    backbone: ClassVar[type[StageBackbone]]
    window: ClassVar[int]
    parts = frozenset({"head", "decoder"})
    fresh = frozenset()

    def complete(self, arch: Arch, input_size: Size, keep: Collection[str]) -> dict[str, Any]:
        given = {
            "window_size": (self.window,),
            **read_fields(self.kind, {"image_size": input_size, **arch}),
        }
        given.setdefault("trained_window", given["window_size"])
        if "embed_dim" in given and "depths" in given:
            stages = len(given["depths"])
            given.setdefault("num_heads", heads_by_rule(given["embed_dim"], stages))
            if "decoder" in keep:
                patch = given.get("patch_size", StageArch.patch_size)
                given.setdefault("decoder_stride", patch * 2 ** (stages - 1))
        return dataclasses.asdict(checked(self.kind, given))

    def shorten(self, arch: Arch, drop_last: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """As Family says; the blocks go from the end of the last stage but one."""
        return shorten_stage(arch, drop_last, "encoder.layers")

    def build(
        self, spec: BackboneSpec, input_size: Size, drop_path: float, keep: Collection[str]
    ) -> Backbone:
        arch = checked(self.kind, spec.arch)
        if "decoder" in keep and not arch.decoder_stride:
            raise LoadError("the file has a mask token but no decoder to keep")
        check_head(arch.num_classes, keep)
        return self.backbone(spec, arch, input_size, drop_path, keep)
