"""Checkpoints of facebookresearch/deit: timm's names with a classifier, distilled ones with two.

Projects whose fine-tuning derives from DeiT's write the same, and resize by the same rule.
"""

from __future__ import annotations

import re

from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.timm import in_backbone

_SCALE = re.compile(r"^(blocks\.\d+)\.gamma_([12])$")

_NOT_DEIT = ("relative_position_bias_table", "attn.q_bias", "fc_norm.weight")
"""What fine-tuned BEiT and MAE files have beside the same names."""


class DeitFormat(Format):
    """See the module. DeiT III calls its layer scale `gamma_1` and `gamma_2`."""

    name = "deit"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if any(n not in names for n in ("pos_embed", "cls_token", "blocks.0.attn.qkv.weight")):
            return None
        if "dist_token" in names:
            return "dist_token, as distilled DeiT has it"
        other = any(name.endswith(_NOT_DEIT) for name in names)
        if checkpoint.wrapper == "model" and "head.weight" in names and not other:
            return "timm's names for a ViT and head under 'model', as DeiT's code writes them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            renaming.take(name, in_backbone(_SCALE.sub(r"\1.ls\2.gamma", name)), value)
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"pool": "class_token", "position_resize": "bicubic"},
            objective="supervised",
            colour_note="mean and std of ImageNet, as DeiT's data code has them",
        )
