"""Checkpoints of facebookresearch/dinov2: encoders, and the teachers of training files.

Encoders with registers resize their position table by another rule than those without
(dinov2/hub/backbones.py). Registers have no place in the table.
"""

from __future__ import annotations

import re

from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

_HEADS = ("dino_head.", "ibot_head.")
_RENAMED = {"mask_token": "decoder.mask_token", "register_tokens": "encoder.reg_token"}
# Training files number the blocks within chunks: blocks.0.7.* is block 7.
_CHUNK = re.compile(r"^blocks\.\d+\.(\d+\.)")
_GATED = re.compile(r"\.mlp\.(w12|w3)\.")
_LAYERS = {"w12": "fc1", "w3": "fc2"}


class Dinov2Format(Format):
    """See the module."""

    name = "dinov2"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = {_bare(name): value for name, value in checkpoint.tensors.items()}
        if any(n not in names for n in ("pos_embed", "blocks.0.attn.qkv.weight")):
            return None
        parts = [name.startswith(("backbone.", *_HEADS)) for name in checkpoint.tensors]
        if any(parts) and not all(parts):
            return None  # an encoder in a network of somebody else's
        if "register_tokens" in names:
            return "register_tokens, as DINOv2 has them"
        if "mask_token" in names and names["mask_token"].ndim == 2:
            return "a mask_token of two axes beside blocks.*.attn.qkv, as DINOv2 has it"
        if _is_gated(checkpoint):
            return "blocks.*.mlp.w12, as DINOv2's gated layers have it"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            if name.startswith(_HEADS):
                renaming.drop(name, "projection head")
            else:
                bare = _bare(name)
                renaming.take(name, _RENAMED.get(bare, f"encoder.{bare}"), value)
        registers = "encoder.reg_token" in renaming.tensors
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={
                "pool": "class_token",
                "position_resize": "bicubic_antialias" if registers else "bicubic_offset",
                "embed_registers": False,
                "swiglu": _is_gated(checkpoint),
            },
            objective="dinov2",
            colour_note="mean and std of ImageNet, as DINOv2's data code has them",
        )


def _is_gated(checkpoint: Checkpoint) -> bool:
    return any(_GATED.search(name) for name in checkpoint.tensors)


def _bare(name: str) -> str:
    """Return the name in timm's encoder."""
    name = _CHUNK.sub(r"blocks.\1", name.removeprefix("backbone."))
    return _GATED.sub(lambda found: f".mlp.{_LAYERS[found[1]]}.", name)
