"""Checkpoints of SimMIM with a Swin or SwinV2 (microsoft/SimMIM, microsoft/Swin-Transformer):
`encoder.*`, `encoder.mask_token`, `decoder.0.*`."""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats import stages
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.simmim import DECODER

_PREFIX = "encoder."


class SimmimSwinFormat(Format):
    """See the module."""

    name = "simmim_swin"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        prefixed = all(name.startswith((_PREFIX, "decoder.")) for name in names)
        if (
            prefixed
            and "encoder.mask_token" in names
            and stages.has_stages(stages.bare(checkpoint.tensors))
        ):
            return "encoder.mask_token and encoder.layers.*.blocks, as SimMIM's Swin has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            if name in DECODER:
                renaming.take(name, DECODER[name], value)
            else:
                stages.take(renaming, name, name.removeprefix(_PREFIX), value)
        encoder = stages.bare(checkpoint.tensors)
        return Parsed(
            family="swinv2" if stages.is_second(encoder) else "swin",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={"window_rule": "proportional", **stages.told_by_buffers(encoder)},
            objective="simmim",
            colour_note="mean and std of ImageNet, as SimMIM's data code has them",
        )
