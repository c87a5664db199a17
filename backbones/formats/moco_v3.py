"""Checkpoints of facebookresearch/moco-v3 with a ViT: two encoders of the same shapes, and heads.

The encoder that gradients trained, `base_encoder`, is the one that the project evaluates
(main_lincls.py) and fine-tunes, with DeiT's code; whence the rule for other sizes.
"""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

_BASE = "base_encoder."
_RULES = {
    f"{_BASE}head.": "projector",
    "momentum_encoder.": "momentum encoder",
    "predictor.": "predictor",
}


class MocoV3Format(Format):
    """See the module. Its ResNets are another family."""

    name = "moco_v3"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        if f"{_BASE}blocks.0.attn.qkv.weight" in checkpoint.tensors:
            return "base_encoder.blocks.*.attn.qkv, as MoCo v3's ViT has it"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            rule = next((rule for start, rule in _RULES.items() if name.startswith(start)), None)
            if rule is not None:
                renaming.drop(name, rule)
            else:
                renaming.take(name, f"encoder.{name.removeprefix(_BASE)}", value)
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"pool": "class_token", "position_resize": "bicubic"},
            objective="moco_v3",
            colour_note="mean and std of ImageNet, as MoCo v3's data code has them",
        )
