"""The architecture of a plain ViT, and how it is read off a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backbones.arguments import as_whole
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
    heads,
    need,
    norm_note,
    read_fields,
    rows_of,
    square_side,
)
from backbones.families.contract import Arch, Described, Size, Tensors
from backbones.families.mae_decoder import read_decoder
from backbones.families.positions import RESIZES, grid_of
from backbones.families.tokens import NORM_EPS

Stages = tuple[int, ...]

POSITIONS = "encoder.pos_embed"
PREFIX_TOKENS = ("cls_token", "dist_token", "reg_token")
"""The tokens before the patches, in this order; under `encoder`."""
RELATIVE = ("rel_pos_h", "rel_pos_w")
"""The tables of relative positions of a block with windows or among them; under its `attn`."""
_LEFT_OUT = {
    "tokens before the patches, which ViTDet leaves out": tuple(
        f"encoder.{token}" for token in PREFIX_TOKENS
    ),
    "norms and pooling after the blocks, which ViTDet leaves out": (
        "encoder.norm.",
        "encoder.attn_pool.",
        "fc_norm.",
    ),
}


@dataclass(frozen=True)
class VitArch:
    """A plain ViT.

    Attributes:
        image_size: (height, width) of the training images in pixels.
        patch_size: side of a patch in pixels.
        patch_padding: pixels by which patches begin left of and above the image, where zeros stand
            after normalisation; 2 in ViTPose.
        embed_dim, depth, num_heads, mlp_hidden: as usual; mlp_hidden in units, not as a ratio.
        swiglu: whether one half of the hidden units, through SiLU, gates the other half.
        act: of hidden units without gates: "gelu", "gelu_tanh" (its approximation by tanh) or
            "quick_gelu" (x sigmoid(1.702 x)).
        class_token, dist_token, reg_tokens: the tokens before the patches, in this order:
            DeiT's distillation token, registers.
        embed_class: whether the position table has rows for them.
        embed_registers: whether registers are among those that have; in DINOv2 they are not.
        layer_scale: initial value of gamma, None without.
        pre_norm: a norm before the blocks.
        final_norm: one after them.
        pool: "mean_fc_norm", "class_token", "mean" or "attention"; see TokenBackbone.
        pool_hidden: hidden units of the MLP of attention pooling, 0 without.
        position_resize: how a position table goes to another size, a rule in `positions`; None
            where nothing tells.
        init: "normal" (timm: deviation 0.02; its truncation, at 100 deviations, never bites),
            "mae", "ijepa", "clip" or "big_vision"; see vit_initialise.
        num_classes: outputs of the file's classifier, 0 without.
        mask_token: iBOT's and DINOv2's token for hidden patches.
        decoder_embed_dim, decoder_depth, decoder_num_heads: MAE's decoder, 0 without.
        window_size: side in patches of ViTDet's windows, 0 without; with them there are patches
            alone, no final norm, and the position table goes to another size as "bicubic" where no
            other rule is known; see vit_windows.
        global_blocks: with windows, the blocks that see the whole map; None for the published ones,
            the last of each quarter.
        rel_pos: with windows, relative positions in every block.
    """

    image_size: Size
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_hidden: int
    patch_padding: int = 0
    swiglu: bool = False
    act: str = "gelu"
    qkv_bias: bool = True
    class_token: bool = True
    dist_token: bool = False
    reg_tokens: int = 0
    embed_class: bool = True
    embed_registers: bool = True
    layer_scale: float | None = None
    pre_norm: bool = False
    final_norm: bool = True
    norm_eps: float = NORM_EPS
    pool: str = "class_token"
    pool_hidden: int = 0
    position_resize: str | None = "bicubic_antialias"
    init: str = "normal"
    num_classes: int = 0
    mask_token: bool = False
    decoder_embed_dim: int = 0
    decoder_depth: int = 0
    decoder_num_heads: int = 0
    window_size: int = 0
    global_blocks: Stages | None = None
    rel_pos: bool = False

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches."""
        return self.class_token + self.dist_token + self.reg_tokens

    @property
    def position_rows(self) -> int:
        """Number of rows of the position table before those of the patches."""
        rows = self.prefix if self.embed_registers else self.prefix - self.reg_tokens
        return rows if self.embed_class else 0


CHOICES = {
    "act": ("gelu", "gelu_tanh", "quick_gelu"),
    "pool": ("mean_fc_norm", "class_token", "mean", "attention"),
    "position_resize": (*RESIZES, None),
    "init": ("normal", "mae", "ijepa", "clip", "big_vision"),
}


def checked(arch: Arch) -> VitArch:
    """Build the architecture.

    Raises:
        LoadError: fields that are wrong or do not hang together.
    """
    built = from_dict(VitArch, arch)
    width = built.embed_dim
    check_norm(built.norm_eps)
    check_heads(width, built.num_heads)
    if built.decoder_num_heads:
        check_heads(built.decoder_embed_dim, built.decoder_num_heads, "decoder_num_heads")
    for name, known in CHOICES.items():
        if getattr(built, name) not in known:
            words = " or ".join(str(value) for value in known if value)
            raise LoadError(f"{name}: expected {words}, got {getattr(built, name)!r}")
    if 2 * built.patch_padding >= built.patch_size:
        raise LoadError(
            f"patch_padding: expected less than half of the patch, {built.patch_size} pixels, got "
            f"{built.patch_padding}"
        )
    if built.swiglu and built.mlp_hidden % 2:
        raise LoadError(f"mlp_hidden: expected an even number for SwiGLU, got {built.mlp_hidden}")
    if built.init in ("mae", "ijepa") and built.embed_dim % 4:
        raise LoadError(f"{built.init}'s position table needs a width divisible by 4, got {width}")
    if not built.window_size and (built.rel_pos or built.global_blocks is not None):
        raise LoadError(
            "rel_pos and global_blocks go with windows: give window_size, 14 as ViTDet has it"
        )
    if built.window_size:
        if built.prefix or built.final_norm or built.pool != "mean":
            raise LoadError(
                "window_size: ViTDet has patches alone, their mean, and no final norm; leave "
                "class_token, reg_tokens, final_norm and pool out"
            )
        built = dataclasses.replace(built, global_blocks=_global_blocks(built))
    if (built.pool == "attention") != bool(built.pool_hidden):
        raise LoadError("pool: 'attention' goes with pool_hidden, the units of its MLP; give both")
    return built


def describe(tensors: Tensors, given: Arch) -> Described:
    """Return the architecture of a file; see Family.describe."""
    if given.get("act", "") is None:
        raise ask("act", "networks with either are published under these names", "gelu")
    given = read_fields(VitArch, given)
    patch = need(tensors, "encoder.patch_embed.proj.weight", PATCH)
    width = int(patch.shape[0])
    number, notes = heads(width, given)
    notes += norm_note(given, NORM_EPS)
    found: dict[str, Any] = {
        "patch_size": int(patch.shape[-1]),
        "embed_dim": width,
        "depth": depth_of(tensors, "encoder.blocks"),
        "num_heads": number,
        "mlp_hidden": int(need(tensors, "encoder.blocks.0.mlp.fc1.weight", FC1).shape[0]),
        "qkv_bias": "encoder.blocks.0.attn.qkv.bias" in tensors,
        "class_token": "encoder.cls_token" in tensors,
        "dist_token": "encoder.dist_token" in tensors,
        "reg_tokens": rows_of(tensors, "encoder.reg_token", ("1", "tokens", "width"), 1),
        "layer_scale": 1e-5 if "encoder.blocks.0.ls1.gamma" in tensors else None,
        "pre_norm": "encoder.norm_pre.weight" in tensors,
        "final_norm": "encoder.norm.weight" in tensors,
        "pool_hidden": rows_of(tensors, "encoder.attn_pool.mlp.fc1.weight", FC1),
        "num_classes": rows_of(tensors, "head.weight", HEAD),
    }
    rows = int(need(tensors, POSITIONS, TABLE).shape[1])
    found |= _positions(found, rows, given)
    if "decoder.embed.weight" in tensors:
        decoder, decoder_notes = read_decoder(tensors, given)
        found |= decoder
        notes += decoder_notes
    else:
        found["mask_token"] = "decoder.mask_token" in tensors
    arch = in_windows({**found, **given})
    if not arch.get("window_size"):
        return Described(dataclasses.asdict(checked(arch)), notes)
    _require_rows(from_dict(VitArch, {**found, **given}), rows)
    fresh = {f"encoder.blocks.{i}.attn.{leaf}" for i in range(arch["depth"]) for leaf in RELATIVE}
    return Described(dataclasses.asdict(checked(arch)), notes, _LEFT_OUT, frozenset(fresh))


def in_windows(arch: Arch) -> dict[str, Any]:
    """Return an architecture as ViTDet's code has it, where windows are asked for."""
    if not arch.get("window_size"):
        return dict(arch)
    patches = {"class_token": False, "dist_token": False, "reg_tokens": 0, "embed_class": False}
    last = {"final_norm": False, "pool": "mean", "pool_hidden": 0}
    resize = arch.get("position_resize") or "bicubic"
    return {**arch, **patches, **last, "position_resize": resize}


def _global_blocks(arch: VitArch) -> Stages:
    """Return the blocks that see the whole map.

    ViTDet's are 2, 5, 8, 11 of 12, 5, 11, 17, 23 of 24 and 7, 15, 23, 31 of 32.

    Raises:
        LoadError: what is given are no blocks.
    """
    depth, given = arch.depth, arch.global_blocks
    if given is None:
        ends = [(quarter + 1) * depth // 4 - 1 for quarter in range(4)]
        return tuple(sorted({end for end in ends if end >= 0}))
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise LoadError(f"global_blocks: expected numbers of blocks, got {given!r}")
    numbers = tuple(as_whole(number, "global_blocks") for number in given)
    if wrong := [number for number in numbers if number >= depth]:
        raise LoadError(f"global_blocks: expected 0 to {depth - 1}, got {wrong[0]}")
    return numbers


def _positions(found: Arch, rows: int, given: Arch) -> dict[str, Any]:
    """Read the training size, and whether prefix tokens have positions, off the table's length."""
    facts = {**found, **given}
    prefix = facts["class_token"] + facts["dist_token"]
    prefix += facts["reg_tokens"] if given.get("embed_registers", True) else 0
    patch: int = facts["patch_size"]
    if "image_size" in given:
        grid = grid_of(given["image_size"], patch)
        return {"embed_class": rows != grid[0] * grid[1]}
    fits = [e for e in (True, False) if _is_square(rows - prefix * e)]
    if "embed_class" in given:
        fits = [given["embed_class"]]
    if prefix and len(fits) == 2:
        raise LoadError(
            f"a position table of {rows} rows fits with and without the {prefix} prefix tokens; "
            "give arch={'embed_class': True} or False"
        )
    embed_class = fits[0] if fits else True
    side = square_side(rows - prefix * embed_class, "the position table")
    return {"embed_class": embed_class, "image_size": (side * patch, side * patch)}


def _require_rows(arch: VitArch, rows: int) -> None:
    """Raise LoadError where a file's position table is not that of its size and tokens."""
    grid = grid_of(arch.image_size, arch.patch_size)
    if rows != (expected := arch.position_rows + grid[0] * grid[1]):
        raise LoadError(
            f"the position table has {rows} rows, expected {expected} of a {grid[0]}x{grid[1]} grid"
            "; give the size of the training images: arch={'image_size': [height, width]}"
        )


def _is_square(count: int) -> bool:
    try:
        return square_side(count, "") > 0
    except LoadError:
        return False
