"""timm's names for Swin and SwinV2: merging stands in the stage that it leads to, `head.fc`.

The four cells of merging lie in their authors' order, so no value is laid out anew. Files of timm
itself tell no windows of a SwinV2; those of its older versions have the buffers that do.
"""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats import stages
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.timm import is_index_buffer

_CLASSIFIER = "head.fc."
_FIRST_MERGING = ("layers.1.downsample.norm.weight", "layers.1.downsample.reduction.weight")


class TimmSwinFormat(Format):
    """See the module."""

    name = "timm_swin"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        # Swin's authors have a merging at the end of the first stage, which may be the last here.
        theirs = any(name.startswith("layers.0.downsample.") for name in names)
        marks = [name for name in (*_FIRST_MERGING, f"{_CLASSIFIER}weight") if name in names]
        if stages.has_stages(names) and marks and not theirs:
            kind = "SwinV2" if stages.is_second(names) else "Swin"
            return f"layers.*.blocks.*.attn.qkv and {marks[0]}, timm's names for {kind}"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        names = checkpoint.tensors
        renaming = Renaming()
        for name, value in names.items():
            if is_index_buffer(name):
                renaming.drop(name, "index buffer")
            elif name.startswith(_CLASSIFIER):
                renaming.take(name, name.replace(_CLASSIFIER, "head.", 1), value)
            else:
                renaming.take(name, f"encoder.{name}", value)
        return Parsed(
            family="swinv2" if stages.is_second(names) else "swin",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch=stages.told_by_buffers(names),
            objective="supervised" if f"{_CLASSIFIER}weight" in names else "unknown",
            colour_note="mean and std of ImageNet, as all of timm's published have them",
        )
