"""Checkpoints of facebookresearch/dinov3: ViTs. Their ConvNeXts are of another layout."""

from __future__ import annotations

import re

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

_PERIODS = "rope_embed.periods"
_RENAMED = {
    "mask_token": "decoder.mask_token",
    "storage_tokens": "encoder.reg_token",
    _PERIODS: "encoder.rope.periods",
}
_LOCAL = "local_cls_norm."
_SCALE = re.compile(r"^(blocks\.\d+)\.ls([12])\.gamma$")
_GATED = re.compile(r"^(blocks\.\d+\.mlp)\.(w1|w2|w3)\.")
_LAYERS = {"w1": "fc1_g", "w2": "fc1_x", "w3": "fc2"}


class Dinov3Format(Format):
    """See the module."""

    name = "dinov3"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if "blocks.0.attn.qkv.weight" not in names or "cls_token" not in names:
            return None
        return f"{_PERIODS}, as DINOv3 has them" if _PERIODS in names else None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        if _PERIODS not in checkpoint.tensors:
            raise LoadError(
                f"{checkpoint.path} has no {_PERIODS}, which DINOv3's code writes; it is not whole"
            )
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            if name.startswith(_LOCAL):
                renaming.drop(name, "norm of local crops, of pre-training alone")
            else:
                renaming.take(name, _RENAMED.get(name, f"encoder.{_bare(name)}"), value)
        return Parsed(
            family="eva",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"rope": "dinov3", "pool": "class_token"},
            objective="dinov3",
            colour_note="mean and std of ImageNet, as DINOv3 has them for its web images; for "
            "satellite images give arch={'mean': [...], 'std': [...]}",
        )


def _bare(name: str) -> str:
    """Return the name in timm's encoder."""
    name = _SCALE.sub(r"\1.gamma_\2", name)
    return _GATED.sub(lambda found: f"{found[1]}.{_LAYERS[found[2]]}.", name)
