"""Pose estimators of mmpose with a plain ViT (ViTPose): the layers and names of mmpretrain's.

All of mmpose's configurations have it without class token and with `patch_cfg=dict(padding=2)`, of
which no file tells. Until mmcls became mmpretrain, after the published encoders were trained, the
network had a token and a row for it nevertheless and took both away before its first layer
(mmcls/models/backbones/vision_transformer.py); mmpretrain has neither, and leaves the row of such
files out when it loads them. Nothing is added to the others, unlike in ViTPose's own code.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from backbones.files import Checkpoint
from backbones.formats import openmmlab
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.vitpose import PATCH, PLACES, TABLE, UNUSED_TOKEN, facts, has_rows

WITHOUT_ROW = "position table without the row of a class token"
_HEAD = "head."
_HEAT_MAPS = ("head.final_layer.", "head.deconv_layers.")
_DROPPED = {_HEAD: "head of mmpose", "neck.": "neck of mmpose"}
_TOKEN = "cls_token"
_ABOUT_TOKEN = (
    "the class token of the file is taken for one that its network does not use, as mmpose's; if "
    "it does, give arch={'format': 'openmmlab'}"
)


class MmposeFormat(Format):
    """See the module."""

    name = "mmpose"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        bare = {name.removeprefix(openmmlab.PREFIX): value for name, value in names.items()}
        if not openmmlab.is_vit(names) or openmmlab.has_classifier(names) or "ln2.weight" in bare:
            return None
        if any(name.startswith(_HEAT_MAPS) for name in names):
            return "layers.*.ln1 of mmpretrain's ViT and a head for heat maps, as mmpose has them"
        if _TOKEN not in bare:
            return "layers.*.ln1 of mmpretrain's ViT without a class token, as mmpose has it"
        if _has_row(bare):
            return f"layers.*.ln1 of mmpretrain's ViT and 1 + {PLACES} positions, as mmpose has it"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        names = checkpoint.tensors
        bare = {name.removeprefix(openmmlab.PREFIX): value for name, value in names.items()}
        row = _TOKEN in bare or _has_row(bare)
        renaming = Renaming()
        for name, value in names.items():
            own = name.removeprefix(openmmlab.PREFIX)
            part = next((start for start in _DROPPED if name.startswith(start)), None)
            if part:
                renaming.drop(name, _DROPPED[part])
            elif own == _TOKEN:
                renaming.drop(name, UNUSED_TOKEN)
            elif own == "pos_embed" and row and has_rows(value):
                renaming.lay_out(name, TABLE, value[:, 1:], WITHOUT_ROW)
            else:
                renaming.take(name, openmmlab.renamed(name), value)
        arch, notes = facts(renaming.tensors)
        if _TOKEN in bare:
            notes = (*notes, _ABOUT_TOKEN)
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            laid_out=renaming.laid_out,
            arch=arch,
            objective="pose" if any(name.startswith(_HEAD) for name in names) else "unknown",
            colour_note="mean and std of ImageNet, as mmpose's configurations have them",
            notes=notes,
        )


def _has_row(bare: Mapping[str, Tensor]) -> bool:
    """Whether the table has a row beside those of 16x12 patches."""
    table, patches = bare.get("pos_embed"), bare.get("patch_embed.projection.weight")
    if table is None or patches is None:
        return False
    return table.shape[1:2] == (1 + PLACES,) and patches.shape[2:] == (PATCH, PATCH)
