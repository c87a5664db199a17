"""The architecture of a Hiera, and how it is read off a file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from backbones.errors import LoadError
from backbones.families.arch import (
    FC1,
    HEAD,
    PATCH,
    TABLE,
    ask,
    check_heads,
    check_norm,
    depth_of,
    from_dict,
    need,
    norm_note,
    read_fields,
    rows_of,
    square_side,
)
from backbones.families.contract import Arch, Described, Size, Tensors
from backbones.families.positions import Grid, grid_of
from backbones.families.tokens import NORM_EPS

Stages = tuple[int, ...]

POSITIONS = "encoder.pos_embed"
WINDOW_POSITIONS = "encoder.pos_embed_win"
HEADS_BY_WIDTH = {96: 1, 112: 2, 144: 2, 256: 4}
"""Heads of the first stage in the published encoders (Ryali et al., 2023, table 2)."""
MAE_DECODER = {"decoder_embed_dim": 512, "decoder_depth": 8, "decoder_num_heads": 16}
"""The published one (hiera_mae.py)."""
_UNIT_STAGES = 2
_WINDOWED_SIZE = (256, 256)


@dataclass(frozen=True)
class HieraArch:
    """A Hiera.

    Attributes:
        image_size: (height, width) of the training images in pixels.
        embed_dim: width of the first stage; each further one is twice as wide.
        depths: blocks of each stage.
        num_heads: heads of the first stage; each further one has twice as many.
        patch_size: pixels from one patch to the next; a patch sees 2 * patch_size - 1.
        q_pool: how many stages after the first halve the map. Pre-training by MAE leaves the last
            stage at the size of the one before; fine-tuning pools in all.
        mlp_ratio: units of the MLP over the width.
        expand_proj: a layer widens the tokens between stages; else maximum and mean are joined.
        layer_scale: initial value of gamma, None without.
        table: (rows, columns) of the position table where it is of no image size but stretched
            over each, with a window's table added (Bolya et al., 2023); (1, 1) otherwise.
        window_table: whether it is so.
        num_classes: outputs of the file's classifier, 0 without.
        decoder_embed_dim, decoder_depth, decoder_num_heads, decoder_pool: MAE's decoder, 0 without;
            the last is the `q_pool` that it was trained with.
    """

    image_size: Size
    embed_dim: int
    depths: Stages
    num_heads: int
    patch_size: int = 4
    q_pool: int = 3
    mlp_ratio: float = 4.0
    expand_proj: bool = True
    layer_scale: float | None = None
    table: Size = (1, 1)
    window_table: bool = False
    norm_eps: float = NORM_EPS
    num_classes: int = 0
    decoder_embed_dim: int = 0
    decoder_depth: int = 0
    decoder_num_heads: int = 0
    decoder_pool: int = 0

    @property
    def unit(self) -> int:
        """Side of a mask unit in patches: what the last stage could pool to one cell."""
        return 1 << (len(self.depths) - 1)

    @property
    def widths(self) -> Stages:
        """Channels of each stage's map."""
        return tuple(self.embed_dim * 2**i for i in range(len(self.depths)))

    @property
    def strides(self) -> Stages:
        """Input pixels of each stage's cells."""
        return tuple(self.patch_size * 2 ** min(i, self.q_pool) for i in range(len(self.depths)))

    def padded(self, size: Size) -> Grid:
        """Rows and columns of the patches of whole mask units that cover an image."""
        rows, columns = grid_of(size, self.patch_size * self.unit)
        return rows * self.unit, columns * self.unit

    def cells(self, size: Size, stage: int) -> Grid:
        """Rows and columns of a stage's map that an image reaches."""
        return grid_of(size, self.strides[stage])

    def in_units(self, stage: int, block: int) -> bool:
        """Whether a block's attention stays in mask units: the first block of a stage, which still
        sees the map of the stage before, goes with that."""
        return stage - (block == 0 and stage > 0) < _UNIT_STAGES


def checked(arch: Arch) -> HieraArch:
    """Build the architecture.

    Raises:
        LoadError: fields that are wrong or do not hang together.
    """
    built = from_dict(HieraArch, arch)
    check_norm(built.norm_eps)
    check_heads(built.embed_dim, built.num_heads)
    if built.mlp_ratio * built.embed_dim < 1:
        raise LoadError(f"mlp_ratio: expected at least one unit, got {built.mlp_ratio}")
    if built.q_pool >= len(built.depths):
        raise LoadError(
            f"q_pool: expected 0 to {len(built.depths) - 1} of {len(built.depths)} stages, "
            f"got {built.q_pool}"
        )
    if built.decoder_num_heads:
        check_heads(built.decoder_embed_dim, built.decoder_num_heads, "decoder_num_heads")
    return built


def describe(tensors: Tensors, given: Arch) -> Described:
    """Return the architecture of a file; see Family.describe."""
    given = read_fields(HieraArch, given)
    patch = need(tensors, "encoder.patch_embed.proj.weight", PATCH)
    width, stages = int(patch.shape[0]), depth_of(tensors, "encoder.layers")
    fc1 = need(tensors, "encoder.layers.0.blocks.0.mlp.fc1.weight", FC1)
    found: dict[str, Any] = {
        "embed_dim": width,
        "depths": tuple(depth_of(tensors, f"encoder.layers.{i}.blocks") for i in range(stages)),
        "patch_size": (int(patch.shape[-1]) + 1) // 2,
        "q_pool": stages - 1,
        "mlp_ratio": fc1.shape[0] / width,
        "expand_proj": any(".blocks.0.proj." in name for name in tensors),
        "layer_scale": 1e-5 if "encoder.layers.0.blocks.0.ls1.gamma" in tensors else None,
        "num_classes": rows_of(tensors, "head.weight", HEAD),
    }
    number, notes = heads(width, given)
    found["num_heads"] = number
    positions, position_notes = _positions(tensors, found["patch_size"], given)
    found |= positions
    notes += position_notes + norm_note(given, NORM_EPS)
    found |= _decoder(tensors)
    return Described(dataclasses.asdict(checked({**found, **given})), notes)


def _decoder(tensors: Tensors) -> dict[str, int]:
    width = rows_of(tensors, "decoder.embed.weight", ("decoder width", "width"))
    if not width:
        return {}
    # Needed only where the decoder is kept: 0 stands for unknown, and building asks then.
    number = MAE_DECODER["decoder_num_heads"] if width == MAE_DECODER["decoder_embed_dim"] else 0
    return {
        "decoder_embed_dim": width,
        "decoder_depth": depth_of(tensors, "decoder.blocks"),
        "decoder_num_heads": number,
        "decoder_pool": depth_of(tensors, "decoder.fusion"),
    }


def heads(width: int, given: Arch) -> tuple[int, tuple[str, ...]]:
    """Return the heads of the first stage, as given or as published for the width, and a note.

    Raises:
        LoadError: none of them tells.
    """
    if "num_heads" in given:
        return given["num_heads"], ()
    if width not in HEADS_BY_WIDTH:
        raise ask("num_heads", f"no published Hiera is {width} wide")
    number = HEADS_BY_WIDTH[width]
    return number, (f"num_heads={number} as in the published Hiera (width {width})",)


def _positions(tensors: Tensors, patch: int, given: Arch) -> tuple[dict[str, Any], tuple[str, ...]]:
    if WINDOW_POSITIONS in tensors:
        table = need(tensors, POSITIONS, ("1", "width", "rows", "columns"))
        found: dict[str, Any] = {"table": tuple(table.shape[2:]), "window_table": True}
        if "image_size" in given:
            return found, ()
        note = f"image_size={_WINDOWED_SIZE[0]} as published: the file does not tell"
        return found | {"image_size": _WINDOWED_SIZE}, (note,)
    places = int(need(tensors, POSITIONS, TABLE).shape[1])
    if "image_size" in given:
        return {}, ()
    side = square_side(places, "the position table") * patch
    return {"image_size": (side, side)}, ()
