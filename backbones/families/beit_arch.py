"""The architecture of a BEiT-style ViT, and how it is read off a file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from backbones.errors import LoadError
from backbones.families.arch import (
    FC1,
    HEAD,
    PATCH,
    TABLE,
    check_heads,
    check_norm,
    depth_of,
    from_dict,
    heads,
    need,
    norm_note,
    perhaps,
    read_fields,
    rows_of,
    square_side,
)
from backbones.families.contract import Arch, Described, Size, Tensors
from backbones.families.mae_decoder import read_decoder
from backbones.families.tokens import NORM_EPS

POSITIONS = "encoder.pos_embed"
SHARED = "encoder.rel_pos_bias.relative_position_bias_table"
OWN = "encoder.blocks.{}.attn.relative_position_bias_table"
BIAS = "relative_position_bias_table"


@dataclass(frozen=True)
class BeitArch:
    """A BEiT-style ViT. Defaults are those of SimMIM's ViT.

    Attributes:
        image_size: (height, width) of the training images in pixels.
        patch_size: side of a patch in pixels.
        embed_dim, depth, num_heads, mlp_hidden: as usual; mlp_hidden in units, not as a ratio.
        shared_table: one table of relative positions for all blocks (pre-training).
        block_tables: one for each block (fine-tuning). Asked for where the file has a shared one
            only, each block gets a copy, as SimMIM's fine-tuning code does.
        position_table: an absolute one.
        layer_scale: initial value of gamma, None without.
        pool: "mean_fc_norm" or "class_token".
        num_classes: outputs of the file's classifier, 0 without.
        decoder_stride: pixels a cell of SimMIM's decoder, 0 without.
        vocabulary: visual tokens that BEiT's pre-training head tells apart, 0 without.
        decoder_embed_dim, decoder_depth, decoder_num_heads: MAE's decoder, 0 without.
    """

    image_size: Size
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_hidden: int
    qkv_bias: bool = True
    shared_table: bool = True
    block_tables: bool = False
    position_table: bool = False
    layer_scale: float | None = 0.1
    final_norm: bool = True
    norm_eps: float = NORM_EPS
    pool: str = "mean_fc_norm"
    num_classes: int = 0
    decoder_stride: int = 0
    vocabulary: int = 0
    decoder_embed_dim: int = 0
    decoder_depth: int = 0
    decoder_num_heads: int = 0


def checked(arch: Arch) -> BeitArch:
    """Build the architecture.

    Raises:
        LoadError: fields that are wrong or do not hang together.
    """
    built = from_dict(BeitArch, arch)
    check_norm(built.norm_eps)
    check_heads(built.embed_dim, built.num_heads)
    if built.pool not in ("mean_fc_norm", "class_token"):
        raise LoadError(f"pool: expected mean_fc_norm or class_token, got {built.pool!r}")
    if built.decoder_stride not in (0, built.patch_size):
        raise LoadError(
            f"the decoder gives {built.decoder_stride} pixels a cell, "
            f"the patch has {built.patch_size}"
        )
    if built.decoder_num_heads:
        check_heads(built.decoder_embed_dim, built.decoder_num_heads, "decoder_num_heads")
    return built


def describe(tensors: Tensors, given: Arch) -> Described:
    """Return the architecture of a file; see Family.describe."""
    given = read_fields(BeitArch, given)
    patch = need(tensors, "encoder.patch_embed.proj.weight", PATCH)
    width = int(patch.shape[0])
    depth = depth_of(tensors, "encoder.blocks")
    tables = _tables(tensors)
    # The tables have a column for each head.
    number, notes = (int(tables[0].shape[1]), ()) if tables else heads(width, given)
    found: dict[str, Any] = {
        "patch_size": int(patch.shape[-1]),
        "embed_dim": width,
        "depth": depth,
        "num_heads": number,
        "mlp_hidden": int(need(tensors, "encoder.blocks.0.mlp.fc1.weight", FC1).shape[0]),
        "qkv_bias": "encoder.blocks.0.attn.q_bias" in tensors,
        "shared_table": SHARED in tensors,
        "block_tables": OWN.format(0) in tensors,
        "position_table": POSITIONS in tensors,
        "layer_scale": 0.1 if "encoder.blocks.0.gamma_1" in tensors else None,
        "final_norm": "encoder.norm.weight" in tensors,
        "num_classes": rows_of(tensors, "head.weight", HEAD),
        "decoder_stride": _stride(tensors),
        "vocabulary": rows_of(tensors, "decoder.lm_head.weight", ("visual tokens", "width")),
    }
    if "decoder.embed.weight" in tensors:
        decoder, decoder_notes = read_decoder(tensors, given)
        found |= decoder
        notes += decoder_notes
    perhaps(tensors, POSITIONS, TABLE)
    if "image_size" not in given:
        found["image_size"] = _image_size(tensors, tables, int(patch.shape[-1]))
    arch = {**found, **given}
    if given.get("block_tables") and SHARED in tensors and OWN.format(0) not in tensors:
        arch["shared_table"] = False
    return Described(dataclasses.asdict(checked(arch)), notes + norm_note(given, NORM_EPS))


def _stride(tensors: Tensors) -> int:
    axes = ("3 x stride x stride", "width", "1", "1")
    outputs = rows_of(tensors, "decoder.conv.weight", axes)
    return square_side(outputs // 3, "the decoder's cell") if outputs else 0


def _tables(tensors: Tensors) -> list[Tensor]:
    """Return the shared table and the first block's, where they are there; check all."""
    for name in tensors:
        if name.endswith(BIAS):
            need(tensors, name, ("offsets", "heads"))
    return [tensors[name] for name in (SHARED, OWN.format(0)) if name in tensors]


def _image_size(tensors: Tensors, tables: list[Tensor], patch: int) -> Size:
    if tables:
        side = (square_side(len(tables[0]) - 3, "the relative position table") + 1) // 2
    elif rows := rows_of(tensors, POSITIONS, TABLE, 1):
        side = square_side(rows - 1, "the position table")
    else:
        raise LoadError("the file has no position table; give arch={'image_size': [height, width]}")
    return side * patch, side * patch
