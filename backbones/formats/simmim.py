"""Checkpoints of microsoft/SimMIM with a ViT: `encoder.*`, `encoder.mask_token`, `decoder.0.*`."""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.timm import is_index_buffer

DECODER = {
    "encoder.mask_token": "decoder.mask_token",
    "decoder.0.weight": "decoder.conv.weight",
    "decoder.0.bias": "decoder.conv.bias",
}


class SimmimFormat(Format):
    """See the module. Swin encoders of the same project are another family."""

    name = "simmim"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if checkpoint.metadata.get("harness"):
            return None
        prefixed = all(name.startswith(("encoder.", "decoder.")) for name in names)
        if prefixed and "encoder.mask_token" in names and "encoder.blocks.0.attn.q_bias" in names:
            return "encoder.mask_token and encoder.blocks.*.attn.q_bias, as SimMIM's ViT has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            if is_index_buffer(name):
                renaming.drop(name, "index buffer")
            else:
                renaming.take(name, DECODER.get(name, name), value)
        return Parsed(
            family="beit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"pool": "mean_fc_norm"},
            objective="simmim",
            colour_note="mean and std of ImageNet, as SimMIM's data code has them",
        )
