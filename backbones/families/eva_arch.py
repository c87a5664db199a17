"""The architecture of EVA-02 and of DINOv3's ViT, and how it is read off a file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from backbones.errors import LoadError
from backbones.families.arch import (
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
    perhaps,
    read_fields,
    rows_of,
    square_side,
)
from backbones.families.contract import Arch, Described, Size, Tensors
from backbones.families.tokens import NORM_EPS

POSITIONS = "encoder.pos_embed"
PERIODS = "encoder.rope.periods"
EVA02 = "eva02"
DINOV3 = "dinov3"

DINOV3_HEADS = {384: 6, 768: 12, 1024: 16, 1280: 20, 4096: 32}
"""Heads of the published DINOv3 ViTs (Simeoni et al., 2025)."""
DINOV3_SIZE = (256, 256)
"""Their global crops."""
_ROUNDING = 0.01
"""Of periods, which are published as bfloat16."""


@dataclass(frozen=True)
class EvaArch:
    """A ViT with rotary positions. Defaults are those of EVA-02's base and large ones.

    Attributes:
        image_size: (height, width) of the training images in pixels.
        patch_size: side of a patch in pixels.
        embed_dim, depth, num_heads: as usual.
        mlp_hidden: inputs of an MLP's last layer.
        rope: "eva02": patches are numbered along each axis, in steps that spread `rope_grid` over
            the grid; "dinov3": each axis goes from -1 to 1, with periods that the file has.
        rope_grid: (rows, columns) of the grid of EVA-02's pre-training.
        mlp: "gelu", "swiglu" (gate and value in one layer), or "swiglu_apart".
        mlp_norm: a norm before an MLP's last layer.
        qkv_apart: a layer each for query, key and value.
        qkv_bias: "none", "query_value", "all", or "masked": of all, with a mask in the file that
            takes out the key's.
        attn_norm: a norm before the last layer of attention.
        position_table: an absolute one, beside the rotary positions.
        reg_tokens: tokens between the class token and the patches.
        layer_scale: initial value of gamma, None without.
        pool: "mean_fc_norm", "class_token" or "mean"; see TokenBackbone.
        num_classes: outputs of the file's classifier, 0 without.
        target_dim: width of the features that EVA-02's pre-training head predicts, 0 without.
    """

    image_size: Size
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_hidden: int
    rope: str = EVA02
    rope_grid: Size = (16, 16)
    mlp: str = "swiglu_apart"
    mlp_norm: bool = True
    qkv_apart: bool = True
    qkv_bias: str = "query_value"
    attn_norm: bool = False
    position_table: bool = True
    reg_tokens: int = 0
    layer_scale: float | None = None
    final_norm: bool = True
    norm_eps: float = NORM_EPS
    pool: str = "mean_fc_norm"
    num_classes: int = 0
    target_dim: int = 0


CHOICES = {
    "rope": (EVA02, DINOV3),
    "mlp": ("gelu", "swiglu", "swiglu_apart"),
    "qkv_bias": ("none", "query_value", "all", "masked"),
    "pool": ("mean_fc_norm", "class_token", "mean"),
}


def checked(arch: Arch) -> EvaArch:
    """Build the architecture.

    Raises:
        LoadError: fields that are wrong or do not hang together.
    """
    built = from_dict(EvaArch, arch)
    check_norm(built.norm_eps)
    check_heads(built.embed_dim, built.num_heads)
    for name, known in CHOICES.items():
        if getattr(built, name) not in known:
            raise LoadError(f"{name}: expected {' or '.join(known)}, got {getattr(built, name)!r}")
    width = built.embed_dim // built.num_heads
    if width % 4:
        raise LoadError(
            f"rotary positions need heads of a width divisible by 4, got {built.embed_dim} / "
            f"{built.num_heads} = {width}"
        )
    if built.mlp == "swiglu" and built.mlp_norm:
        raise LoadError("mlp_norm: expected false where gate and value are one layer, got true")
    if built.qkv_apart and built.qkv_bias in ("all", "masked"):
        raise LoadError(
            "qkv_bias: expected none or query_value where query, key and value have layers of "
            f"their own, got {built.qkv_bias!r}"
        )
    return built


def describe(tensors: Tensors, given: Arch) -> Described:
    """Return the architecture of a file; see Family.describe."""
    given = read_fields(EvaArch, given)
    patch = need(tensors, "encoder.patch_embed.proj.weight", PATCH)
    width, side = int(patch.shape[0]), int(patch.shape[-1])
    rope = given.get("rope", EVA02 if POSITIONS in tensors else DINOV3)
    eps = 1e-5 if rope == DINOV3 else NORM_EPS
    number, notes = _heads(tensors, width, given, rope)
    found: dict[str, Any] = {
        "patch_size": side,
        "embed_dim": width,
        "depth": depth_of(tensors, "encoder.blocks"),
        "num_heads": number,
        "rope": rope,
        "attn_norm": "encoder.blocks.0.attn.norm.weight" in tensors,
        "position_table": POSITIONS in tensors,
        "reg_tokens": rows_of(tensors, "encoder.reg_token", ("1", "tokens", "width"), 1),
        "layer_scale": 1e-5 if "encoder.blocks.0.gamma_1" in tensors else None,
        "final_norm": "encoder.norm.weight" in tensors,
        "norm_eps": eps,
        "num_classes": rows_of(tensors, "head.weight", HEAD),
        "target_dim": rows_of(tensors, "decoder.lm_head.weight", ("features", "width")),
    }
    if rope == DINOV3 and not found["reg_tokens"] and "reg_tokens" not in given:
        raise LoadError(
            "the file has no storage_tokens, which every published DINOv3 has; if it was trained "
            "without, give arch={'reg_tokens': 0}"
        )
    found |= _mlp(tensors) | _qkv(tensors)
    if rope == EVA02 and "rope_grid" not in given:
        notes += ("rotary positions of a 16x16 grid, as published: the file does not tell",)
    if "image_size" not in given:
        found["image_size"], size_notes = _image_size(tensors, 1 + found["reg_tokens"], side)
        notes += size_notes
    fresh = frozenset({PERIODS}) if rope == DINOV3 else frozenset[str]()
    arch = dataclasses.asdict(checked({**found, **given}))
    return Described(arch, notes + norm_note(given, eps), fresh=fresh)


def _heads(tensors: Tensors, width: int, given: Arch, rope: str) -> tuple[int, tuple[str, ...]]:
    if "num_heads" in given:
        return given["num_heads"], ()
    if rope == DINOV3 and width in DINOV3_HEADS:
        number = DINOV3_HEADS[width]
        return number, (f"num_heads={number} as in the published DINOv3 (width {width})",)
    periods = perhaps(tensors, PERIODS, ("periods",))
    if periods is None:
        return heads(width, given)
    # One for the two channels that turn together, on each of two axes.
    count = len(periods)
    published = 100 ** (torch.arange(count) / count)
    if count < 2 or ((periods / published - 1).abs() > _ROUNDING).any():
        raise ask("num_heads", "its periods are not those of the published DINOv3")
    return max(1, width // (4 * count)), ()


def _mlp(tensors: Tensors) -> dict[str, Any]:
    mlp = "encoder.blocks.0.mlp"
    units = int(need(tensors, f"{mlp}.fc2.weight", ("width", "units")).shape[1])
    if f"{mlp}.fc1_g.weight" in tensors:
        kind = "swiglu_apart"
    else:
        first = need(tensors, f"{mlp}.fc1.weight", ("units", "width"))
        kind = "swiglu" if len(first) == 2 * units else "gelu"
    return {"mlp": kind, "mlp_hidden": units, "mlp_norm": f"{mlp}.norm.weight" in tensors}


def _qkv(tensors: Tensors) -> dict[str, Any]:
    attention = "encoder.blocks.0.attn"
    kinds = {
        "qkv.bias_mask": "masked",
        "qkv.bias": "all",
        "q_bias": "query_value",
        "q_proj.bias": "query_value",
    }
    has = [kind for leaf, kind in kinds.items() if f"{attention}.{leaf}" in tensors]
    apart = f"{attention}.q_proj.weight" in tensors
    return {"qkv_apart": apart, "qkv_bias": has[0] if has else "none"}


def _image_size(tensors: Tensors, prefix: int, patch: int) -> tuple[Size, tuple[str, ...]]:
    rows = rows_of(tensors, POSITIONS, TABLE, 1)
    if not rows:
        note = f"image_size={DINOV3_SIZE[0]} as in DINOv3's pre-training: no table tells it"
        return DINOV3_SIZE, (note,)
    side = square_side(rows - prefix, "the position table") * patch
    return (side, side), ()
