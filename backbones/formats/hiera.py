"""Checkpoints of facebookresearch/hiera, pre-trained by MAE or fine-tuned, and timm's of Hiera."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from backbones.families.arch import depth_of
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

_DECODER = {
    "decoder_": "",
    "mask_token": "mask_token",
    "encoder_norm.": "encoder_norm.",
    "multi_scale_fusion_heads.": "fusion.",
}
_HEADS = {
    "norm.": "fc_norm.",
    "head.norm.": "fc_norm.",
    "head.projection.": "head.",
    "head.fc.": "head.",
}
_BLOCK = re.compile(r"^blocks\.(\d+)\.")


class HieraFormat(Format):
    """See the module. Blocks are numbered through there, by stage here."""

    name = "hiera"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        found = [name for name in names if _widens(names, name)]
        if "patch_embed.proj.weight" in names and "blocks.0.attn.qkv.weight" in names and found:
            return f"blocks that widen the tokens ({found[0]}), as Hiera has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        names = checkpoint.tensors
        places = _places(names)
        masked = any(name.startswith(tuple(_DECODER)) for name in names)
        for name, value in names.items():
            renaming.take(name, _renamed(name, places), value)
        notes = (
            ("the last stage is pooled, as in fine-tuning; as in pre-training: arch={'q_pool': 2}",)
            if masked
            else ()
        )
        return Parsed(
            family="hiera",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={},
            objective="mae" if masked else "unknown",
            colour_note="mean and std of ImageNet, as Hiera's examples have them",
            notes=notes,
        )


def _widens(names: Mapping[str, Tensor], name: str) -> bool:
    """Whether it is a layer of query, key and value for wider tokens than come in."""
    if not name.endswith(".attn.qkv.weight") or not _BLOCK.match(name):
        return False
    value = names[name]
    return value.ndim == 2 and len(value) > 3 * value.shape[1]


def _places(names: Mapping[str, Tensor]) -> list[str]:
    """Return for each block its name here: a stage begins where the tokens are widened."""
    places, stage, block = [], 0, 0
    for number in range(depth_of(names, "blocks")):
        name = f"blocks.{number}.attn.qkv.weight"
        if name in names and _widens(names, name):
            stage, block = stage + 1, 0
        places.append(f"encoder.layers.{stage}.blocks.{block}.")
        block += 1
    return places


def _renamed(name: str, places: list[str]) -> str:
    if found := _BLOCK.match(name):
        return places[int(found[1])] + name[found.end() :]
    prefixes = _HEADS | {theirs: f"decoder.{ours}" for theirs, ours in _DECODER.items()}
    for theirs, ours in prefixes.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return "encoder.pos_embed" if name == "pos_embed_abs" else f"encoder.{name}"
