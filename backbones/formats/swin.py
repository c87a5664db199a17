"""Checkpoints of microsoft/Swin-Transformer with a classifier: a Swin or SwinV2, `norm`, `head`."""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats import stages
from backbones.formats.contract import Format, Parsed, Renaming


class SwinFormat(Format):
    """See the module. What SimMIM's fine-tuning code writes has the same names."""

    name = "swin"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        # Where timm has it, no merging stands in the first stage.
        if stages.has_stages(names) and "layers.0.downsample.norm.weight" in names:
            return "layers.*.blocks.*.attn.qkv and layers.0.downsample, as Swin's code has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            if name.startswith("head."):
                renaming.take(name, name, value)
            else:
                stages.take(renaming, name, name, value)
        classified = "head.weight" in checkpoint.tensors
        return Parsed(
            family="swinv2" if stages.is_second(checkpoint.tensors) else "swin",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch=stages.told_by_buffers(checkpoint.tensors),
            objective="supervised" if classified else "unknown",
            colour_note="mean and std of ImageNet, as Swin's data code has them",
        )
