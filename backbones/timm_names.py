"""Architectures by timm's names, without the network: the weights are a local file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers.mlp import GluMlp
from timm.models.beit import Beit
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from backbones.errors import LoadError

_SUFFIXES = (".safetensors", ".pth", ".bin", ".pt")


def locate_timm(name: str, folders: Sequence[Path]) -> tuple[Path, dict[str, Any]]:
    """Return the local file for `timm:<name>.<tag>`, and what timm says of its architecture.

    Args:
        name: the whole name.
        folders: where the file is looked for, in this order.

    Raises:
        LoadError: timm has no such name, no family here serves it, or the file is missing.
    """
    short = name.removeprefix("timm:")
    if not _is_known(short):
        near = difflib.get_close_matches(short, _similar(short), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise LoadError(f"timm has no model {short!r}{hint}")
    arch = _architecture(short)
    for path in (folder / f"{short}{suffix}" for folder in folders for suffix in _SUFFIXES):
        if path.is_file():
            return path, arch
    raise LoadError(
        f"the weights of {name} are not in {' nor in '.join(map(str, folders))}; "
        f"put them there as {short}.safetensors"
    )


def _is_known(short: str) -> bool:
    # `is_model` looks at what comes before the tag alone.
    tagged = "." in short
    return short in timm.list_models(pretrained=True) or (not tagged and timm.is_model(short))


def _similar(short: str) -> list[str]:
    """Return the names with the same architecture and another tag, or else all."""
    model = short.partition(".")[0]
    named: list[str] = timm.list_models(pretrained=True)
    return [name for name in named if name.partition(".")[0] == model] or named


def _architecture(short: str) -> dict[str, Any]:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model: Any = timm.create_model(short, pretrained=False, num_classes=0)
    served = type(model) in (VisionTransformer, VisionTransformerDistilled, Beit)
    gated = served and _is_swiglu(model.blocks[0].mlp)
    if not served or not (gated or _is_gelu(model.blocks[0].mlp)) or not _plain(model):
        raise LoadError(
            f"timm:{short} is a {type(model).__name__} of a kind that no family here serves"
        )
    cfg = model.pretrained_cfg
    return {
        "image_size": tuple(model.patch_embed.img_size),
        "num_heads": model.blocks[0].attn.num_heads,
        "norm_eps": model.blocks[0].norm1.eps,
        "mean": cfg["mean"],
        "std": cfg["std"],
        "format": "timm",
        **({"swiglu": True} if gated else {}),
    }


def _is_gelu(mlp: Any) -> bool:
    return type(getattr(mlp, "act", None)) is nn.GELU


def _is_swiglu(mlp: Any) -> bool:
    packed = type(mlp) is GluMlp and type(mlp.act) is nn.SiLU and type(mlp.norm) is nn.Identity
    return packed and not mlp.gate_last


def _plain(model: Any) -> bool:
    return not isinstance(model, VisionTransformer) or type(model.blocks[0]) is Block
