"""timm's names for ConvNeXt and ConvNeXt V2."""

from __future__ import annotations

from backbones.files import Checkpoint
from backbones.formats.contract import Parsed, Renaming

MATRICES = "1x1 convolutions taken as matrices"
_MARKS = ("stem.0.weight", "stages.0.blocks.0.conv_dw.weight", "stages.0.blocks.0.mlp.fc1.weight")
_DEEP_HEAD = "head.pre_logits."


def recognise(checkpoint: Checkpoint) -> str | None:
    """Return by what the content shows these names, or None."""
    if all(name in checkpoint.tensors for name in _MARKS):
        return "stem and stages.*.blocks.*.conv_dw, timm's names for ConvNeXt"
    return None


def parse(checkpoint: Checkpoint) -> Parsed:
    """Rename the tensors; see Format.parse."""
    names = checkpoint.tensors
    deep = any(name.startswith(_DEEP_HEAD) for name in names)
    renaming = Renaming()
    for name, value in names.items():
        new = _renamed(name)
        if deep and name.startswith(("head.fc.", _DEEP_HEAD)):
            renaming.drop(name, "classifier of more than one layer")
        elif ".mlp.fc" in name and value.ndim == 4 and value.shape[2:] == (1, 1):
            renaming.lay_out(name, new, value.flatten(1), MATRICES)
        else:
            renaming.take(name, new, value)
    return Parsed(
        family="convnext",
        tensors=renaming.tensors,
        origin=renaming.origin,
        dropped=renaming.dropped,
        laid_out=renaming.laid_out,
        arch={"norm_first": "norm_pre.weight" in names},
        objective="unknown",
        colour_note="mean and std of ImageNet, since the file does not tell; others by "
        "arch={'mean': [...], 'std': [...]}",
    )


def _renamed(name: str) -> str:
    """Return the name in the Backbone; under `encoder.` what is unknown."""
    for theirs, ours in (("head.fc.", "head."), ("head.norm.", "encoder.norm.")):
        if name.startswith(theirs):
            return name.replace(theirs, ours, 1)
    return "encoder." + name.replace("norm_pre.", "norm.", 1)
