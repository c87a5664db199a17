"""Checkpoints of OpenMMLab with mmpretrain's VisionTransformer: `layers.N.ln1`, `ffn.layers.0.0`.

Files of mmpose, whose ViT has the same layers, are of the layout `mmpose`, which is tried first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

PREFIX = "backbone."
_MARKS = frozenset({
    "patch_embed.projection.weight", "layers.0.ln1.weight", "layers.0.attn.qkv.weight"
})  # fmt: skip
_CLASSIFIERS = {
    "head.layers.head.": "head.",
    "head.layers.head_dist.": "head.distilled.",
    "head.fc.": "head.",
}
"""The classifiers that are one layer."""

_DROPPED = {"head.": "head of OpenMMLab", "neck.": "neck of OpenMMLab"}
_RENAMED = (
    (re.compile(r"^patch_embed\.projection\."), "patch_embed.proj."),
    (re.compile(r"^ln1\."), "norm."),
    (re.compile(r"^layers\.(\d+)\.ln([12])\."), r"blocks.\1.norm\2."),
    (re.compile(r"^layers\.(\d+)\.attn\.gamma1\.weight$"), r"blocks.\1.ls1.gamma"),
    (re.compile(r"^layers\.(\d+)\.ffn\.gamma2\.weight$"), r"blocks.\1.ls2.gamma"),
    (re.compile(r"^layers\.(\d+)\.attn\."), r"blocks.\1.attn."),
    (re.compile(r"^layers\.(\d+)\.ffn\.(?:layers\.0\.0|w12)\."), r"blocks.\1.mlp.fc1."),
    (re.compile(r"^layers\.(\d+)\.ffn\.(?:layers\.1|w3)\."), r"blocks.\1.mlp.fc2."),
)


class OpenmmlabFormat(Format):
    """See the module."""

    name = "openmmlab"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        if is_vit(checkpoint.tensors):
            return "patch_embed.projection and layers.*.ln1, as mmpretrain's ViT has them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        bare = {name.removeprefix(PREFIX) for name in checkpoint.tensors}
        _check(bare, checkpoint)
        # Before the classifier there may be a further layer, of which no family here knows.
        simple = not any(name.startswith("head.layers.pre_logits.") for name in bare)
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            head = next((start for start in _CLASSIFIERS if name.startswith(start)), None)
            part = next((start for start in _DROPPED if name.startswith(start)), None)
            if head and simple:
                renaming.take(name, name.replace(head, _CLASSIFIERS[head], 1), value)
            elif part:
                renaming.drop(name, _DROPPED[part])
            else:
                renaming.take(name, renamed(name), value)
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch={
                "pool": _pool(bare),
                "position_resize": "bicubic",
                "swiglu": "layers.0.ffn.w12.weight" in bare,
                **_small(renaming.tensors),
            },
            objective="unknown",
            colour_note="mean and std of ImageNet, the default of mmpretrain's data; for files "
            "whose configuration has 127.5 give arch={'mean': [0.5, ...], 'std': [0.5, ...]}",
        )


def is_vit(names: Iterable[str]) -> bool:
    """Whether the names are those of mmpretrain's ViT, with `backbone.` before them or without."""
    return {name.removeprefix(PREFIX) for name in names} >= _MARKS


def has_classifier(names: Iterable[str]) -> bool:
    """Whether a classifier is among them that is one layer."""
    return any(name.startswith(tuple(_CLASSIFIERS)) for name in names)


def _pool(names: Collection[str]) -> str:
    if "ln2.weight" in names:
        return "mean_fc_norm"
    return "class_token" if "cls_token" in names else "mean"


def _check(names: set[str], checkpoint: Checkpoint) -> None:
    if {"ln1.weight", "ln2.weight"} <= names:
        raise LoadError(
            f"{checkpoint.path} has a norm before the mean and one after it (ln1, ln2), which no "
            "family here builds; save it without the one that is not used"
        )


def _small(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the heads of mmpretrain's own "small" ViT, which is as wide as others with twelve."""
    first = tensors.get("encoder.blocks.0.mlp.fc1.weight")
    return {"num_heads": 8} if first is not None and first.shape == (3 * 768, 768) else {}


def renamed(name: str) -> str:
    """Return the name in the Backbone; under `encoder.` what is unknown."""
    name = name.removeprefix(PREFIX)
    if name.startswith("ln2."):
        return name.replace("ln2", "fc_norm", 1)
    for pattern, new in _RENAMED:
        name, found = pattern.subn(new, name)
        if found:
            break
    return f"encoder.{name}"
