"""Checkpoints of SwinTransformer/MIM-Depth-Estimation: a SwinV2 as `encoder.*` with a norm of the
map that it gives, `encoder.norm3`, beside `decoder.*` and `last_layer_depth.*`.

Its test.py reads a flat dict, its train.py writes {'model', 'optimizer'}: both are taken.
"""

from __future__ import annotations

import re

from backbones.files import Checkpoint
from backbones.formats import stages
from backbones.formats.contract import Format, Parsed, Renaming

_PREFIX = "encoder."
_DEPTH = ("decoder.", "last_layer_depth.")
_MAP_NORM = re.compile(r"encoder\.norm\d+\.weight")


class MimDepthFormat(Format):
    """See the module."""

    name = "mim_depth"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        prefixed = all(name.startswith((_PREFIX, *_DEPTH)) for name in names)
        normed = any(_MAP_NORM.fullmatch(name) for name in names)
        if prefixed and normed and stages.has_stages(stages.bare(checkpoint.tensors)):
            return "encoder.layers and encoder.norm3, as MIM-Depth-Estimation has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        decoder = {}
        for name, value in checkpoint.tensors.items():
            if name.startswith(_DEPTH):
                decoder[name] = value
            else:
                stages.take(renaming, name, name.removeprefix(_PREFIX), value)
        return Parsed(
            family="swinv2",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            beside={"depth": decoder} if decoder else {},
            arch={
                "variant": "mim_depth",
                **stages.told_by_buffers(stages.bare(checkpoint.tensors)),
            },
            objective="depth",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            colour_note="images in [0,1] as they are, as MIM-Depth-Estimation's data code has them",
        )
