"""Files of openai/CLIP with a ViT: TorchScript programs, or the state dict of one.

`pooled` is the class token after `ln_post`, before the projection into the space that is shared
with text: what the linear classifiers of the paper got (Radford et al., 2021, appendix A.3; the
example in the project's README takes the projected one).
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming
from backbones.formats.towers import (
    CLIP_MEAN,
    CLIP_STD,
    SIZES,
    beside_the_tower,
    clip_facts,
    heads_note,
)

TOWER = "visual."
_FIRST = "transformer.resblocks.0.attn.in_proj_weight"

_RENAMED = (
    (re.compile(r"^conv1\."), "patch_embed.proj."),
    (re.compile(r"^class_embedding$"), "cls_token"),
    (re.compile(r"^positional_embedding$"), "pos_embed"),
    (re.compile(r"^ln_pre\."), "norm_pre."),
    (re.compile(r"^ln_post\."), "norm."),
)
_IN_BLOCK = (
    (re.compile(r"^attn\.in_proj_"), "attn.qkv."),
    (re.compile(r"^attn\.out_proj\."), "attn.proj."),
    (re.compile(r"^mlp\.c_fc\."), "mlp.fc1."),
    (re.compile(r"^mlp\.c_proj\."), "mlp.fc2."),
    (re.compile(r"^ln_([12])\."), r"norm\1."),
    (re.compile(r"^ls_([12])\."), r"ls\1."),
)


class ClipFormat(Format):
    """See the module."""

    name = "clip"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if f"{TOWER}layer1.0.conv1.weight" in names and f"{TOWER}attnpool.c_proj.weight" in names:
            return "visual.layer1 and visual.attnpool, a CLIP with a ResNet"
        if f"{TOWER}{_FIRST}" in names and all(size in names for size in SIZES):
            return f"{', '.join(SIZES)} beside visual.{_FIRST}, as OpenAI's programs have them"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        return parse_tower(
            checkpoint,
            {"act": "quick_gelu", "position_resize": None},
            notes=("QuickGELU, as OpenAI's code has it",),
            data="WIT, 400 million images with texts, unpublished",
        )


def parse_tower(
    checkpoint: Checkpoint,
    facts: dict[str, Any],
    notes: tuple[str, ...] = (),
    data: str = "unknown",
) -> Parsed:
    """Read the image tower of a CLIP.

    Args:
        checkpoint: the file.
        facts: of the architecture, beside those that all these towers share.
        notes: what else the file does not tell.
        data: what it was trained on.

    Raises:
        LoadError: a ResNet, or a tower of another build.
    """
    names = checkpoint.tensors
    prefix = TOWER if any(name.startswith(TOWER) for name in names) else ""
    _check(checkpoint, prefix)
    renaming = Renaming()
    for name, value in names.items():
        rule = beside_the_tower(name) if prefix else None
        if name == f"{prefix}proj":
            renaming.drop(name, "projection into the space shared with text")
        elif rule:
            renaming.drop(name, rule)
        else:
            _take(renaming, name, name.removeprefix(prefix), value)
    patches = renaming.tensors.get("encoder.patch_embed.proj.weight")
    shared = clip_facts(0 if patches is None or not patches.ndim else patches.shape[0])
    return Parsed(
        family="vit",
        tensors=renaming.tensors,
        origin=renaming.origin,
        dropped=renaming.dropped,
        arch={**shared, **facts},
        objective="clip",
        mean=CLIP_MEAN,
        std=CLIP_STD,
        colour_note="mean and std of CLIP, of open_clip's defaults too",
        notes=(*heads_note(shared), *notes),
        data=data,
    )


def _check(checkpoint: Checkpoint, prefix: str) -> None:
    names = {name.removeprefix(prefix) for name in checkpoint.tensors if name.startswith(prefix)}
    if "layer1.0.conv1.weight" in names:
        raise LoadError(
            f"{checkpoint.path}: a CLIP whose image tower is a ResNet, which no family here "
            "builds; give one with a ViT"
        )
    if any(name.startswith("attn_pool.") for name in names):
        what = "attention pooling, as CoCa's"
    elif missing := [name for name in ("ln_pre.weight", "class_embedding") if name not in names]:
        what = f"no {missing[0]}"
    else:
        return
    raise LoadError(
        f"{checkpoint.path}: an image tower with {what}, which no family here builds; give one "
        "with ln_pre and a class token (towers of CoCa and CLIPA are not read)"
    )


def _take(renaming: Renaming, name: str, short: str, value: Tensor) -> None:
    """Take a tensor over; tokens and positions get the axes that timm's networks have."""
    block = re.match(r"^transformer\.resblocks\.(\d+)\.(.+)$", short)
    inside = block[2] if block else short
    for pattern, new in _IN_BLOCK if block else _RENAMED:
        inside, found = pattern.subn(new, inside)
        if found:
            break
    if not block and inside in ("cls_token", "pos_embed"):
        value = value.reshape(1, -1, value.shape[-1]) if value.ndim in (1, 2) else value
    renaming.take(
        name, f"encoder.blocks.{block[1]}.{inside}" if block else f"encoder.{inside}", value
    )
