"""Checkpoints of facebookresearch/mae: names of timm's ViT, `decoder_*` and `mask_token` beside.

The published encoder-only files have nothing of the decoder; what they do have is the fixed
sine-cosine position table, so they are recognised by its values.
"""

from __future__ import annotations

from torch import Tensor

from backbones.families.positions import sine_cosine
from backbones.files import Checkpoint
from backbones.formats.contract import Format, Parsed, Renaming

ARCH = {"pool": "mean_fc_norm", "position_resize": "bicubic", "init": "mae"}
"""What holds of MAE's ViT and no file tells."""


class MaeFormat(Format):
    """See the module."""

    name = "mae"

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        names = checkpoint.tensors
        if "blocks.0.attn.qkv.weight" not in names or "pos_embed" not in names:
            return None
        if "decoder_embed.weight" in names:
            return "decoder_embed and blocks.*.attn.qkv, as MAE has them"
        if "head.weight" not in names and is_sine_cosine(names["pos_embed"]):
            return "no head, and the fixed sine-cosine position table of MAE"
        return None

    def parse(self, checkpoint: Checkpoint) -> Parsed:
        renaming = Renaming()
        for name, value in checkpoint.tensors.items():
            renaming.take(name, _renamed(name), value)
        return Parsed(
            family="vit",
            tensors=renaming.tensors,
            origin=renaming.origin,
            dropped=renaming.dropped,
            arch=dict(ARCH),
            objective="mae",
            colour_note="mean and std of ImageNet, as MAE's data code has them",
        )


def _renamed(name: str) -> str:
    if name == "mask_token":
        return "decoder.mask_token"
    if name.startswith("decoder_"):
        return "decoder." + name.removeprefix("decoder_")
    return "encoder." + name


def is_sine_cosine(table: Tensor, prefix: int = 1) -> bool:
    """Whether it is the fixed position table of a square grid, after rows of zeros."""
    if table.ndim != 3 or 0 in table.shape or not table.is_floating_point():
        return False
    places, width = table.shape[-2] - prefix, table.shape[-1]
    side = round(max(places, 0) ** 0.5)
    if side < 1 or side * side != places or width % 4:
        return False
    return bool((table - sine_cosine(width, (side, side), prefix)).abs().max() < 1e-5)
