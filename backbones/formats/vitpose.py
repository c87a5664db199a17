"""Checkpoints of ViTAE-Transformer/ViTPose: timm's names for a ViT, `last_norm`, `keypoint_head`.

The network (mmpose/models/backbones/vit.py) has no class token, though many of the files have one.
Its patches begin two pixels left of and above the image. The first row of its position table, that
of MAE's class token, is added to every patch; here it is joined with the others. A table goes to
another size as their load_checkpoint does it: bicubic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

JOINED_ROW = "first row of the position table added to all others"
TABLE = "encoder.pos_embed"
UNUSED_TOKEN = "class token, which the network does not have"
PATCH, PLACES, IMAGE_SIZE = 16, 192, (256, 192)
"""Side of a patch, places of the table and image size of the published encoders."""

_PADDING = 2
_SMALL = 384
_PREFIX = "backbone."
_DROPPED = {
    "keypoint_head.": "head for heat maps",
    "associate_keypoint_heads.": "heads of other data sets",
}
_MARKS = {"patch_embed.proj.weight", "pos_embed", "blocks.0.attn.qkv.weight"}
_EXPERT = re.compile(r"^blocks\.\d+\.mlp\.experts\.")


class VitposeFormat(Format):
    """See the module."""

    name = "vitpose"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        parts = [name.startswith((_PREFIX, *_DROPPED)) for name in names]
        if any(parts) and not all(parts):
            return None  # an encoder in a network of somebody else's
        bare = {name.removeprefix(_PREFIX) for name in names}
        if not bare >= _MARKS or "norm.weight" in bare:  # theirs is last_norm, or there is none
            return None
        if "last_norm.weight" in bare:
            return "last_norm and blocks.*.attn.qkv, as ViTPose has them"
        if any(name.startswith(tuple(_DROPPED)) for name in names):
            return "keypoint_head and blocks.*.attn.qkv, as ViTPose has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            bare = name.removeprefix(_PREFIX)
            part = next((start for start in _DROPPED if name.startswith(start)), None)
            if part:
                renaming.drop(name, _DROPPED[part])
            elif bare == "cls_token":
                renaming.drop(name, UNUSED_TOKEN)
            elif _EXPERT.match(bare):
                renaming.drop(name, "experts, of which one is in mlp.fc2 already")
            elif bare == "pos_embed" and has_rows(value):
                table = value[:, 1:].float() + value[:, :1].float()
                renaming.lay_out(name, TABLE, table, JOINED_ROW)
            else:
                renaming.take(name, f"encoder.{bare.replace('last_norm.', 'norm.', 1)}", value)
        _check_experts(renaming.tensors, checkpoint)
        arch, notes = facts(renaming.tensors)
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            laid_out=renaming.laid_out,
            arch=arch,
            objective="pose",
            colour_note="mean and std of ImageNet, as ViTPose's data code has them",
            notes=(*notes, f"{JOINED_ROW}: the same sum"),
        )


def has_rows(table: Tensor) -> bool:
    """Whether it can be a position table (1,1+N,C) that has a row to take off."""
    return table.ndim == 3 and table.shape[1] > 1 and table.is_floating_point()


def facts(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what holds of published ViTPose encoders and no file tells, and notes on it.

    Args:
        tensors: in the names of the Backbone, the table without a row before those of patches.
    """
    arch: dict[str, Any] = {
        "patch_padding": _PADDING,
        "pool": "mean",
        "position_resize": "bicubic",
    }
    notes = [
        f"patch_padding={_PADDING}: no file tells, but patches of all published ViTPose encoders "
        "begin two pixels outside the image; else give arch={'patch_padding': 0}",
        "pooled features: mean of the normed map, since nothing published pools it",
    ]
    patches = tensors.get("encoder.patch_embed.proj.weight")
    table = tensors.get(TABLE)
    sides: tuple[int, ...] = () if patches is None else tuple(patches.shape)
    if table is not None and table.shape[1:2] == (PLACES,) and sides[2:] == (PATCH, PATCH):
        arch["image_size"] = IMAGE_SIZE
        notes.append(f"a table of {PLACES} places: 16x12, of images of 256x192 pixels")
    if sides[:1] == (_SMALL,):
        arch["num_heads"] = 12
        notes.append(f"num_heads=12, as ViTPose-S has them (width {_SMALL})")
    return arch, tuple(notes)


def _check_experts(tensors: Mapping[str, Tensor], checkpoint: Checkpoint) -> None:
    """Refuse files in which a part of a layer is in the experts (tools/model_split.py)."""
    inner, outer = (tensors.get(f"encoder.blocks.0.{n}.weight") for n in ("mlp.fc2", "norm2"))
    experts = any(_EXPERT.match(name.removeprefix(_PREFIX)) for name in checkpoint.tensors)
    if experts and inner is not None and outer is not None and inner.shape[:1] < outer.shape[:1]:
        raise LoadError(
            f"{checkpoint.path}: a ViTPose+ with an expert for each data set; split it by the "
            "authors' tools/model_split.py and give the file of one data set"
        )
