"""Architectures by timm's names, without the network: the weights are a local file."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers.activations import GELU
from timm.layers.mlp import GluMlp
from timm.layers.norm import LayerNorm2d
from timm.models.beit import Beit
from timm.models.convnext import ConvNeXt
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from backbones.errors import LoadError

_SUFFIXES = (".safetensors", ".pth", ".bin", ".pt")


def locate_timm(name: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the local file for `timm:<name>.<tag>`, and what timm says of its architecture.

    Raises:
        LoadError: timm has no such name, no family here serves it, or the file is missing.
    """
    short = name.removeprefix("timm:")
    if not _is_known(short):
        near = difflib.get_close_matches(short, _similar(short), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise LoadError(f"timm has no model {short!r}{hint}")
    arch = architecture(short)
    for suffix in _SUFFIXES:
        path = folder / f"{short}{suffix}"
        if path.is_file():
            return path, arch
    raise LoadError(
        f"the weights of {name} are not in the cache; "
        f"put them at {folder / (short + '.safetensors')}"
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


def architecture(short: str) -> dict[str, Any]:
    """Return what timm says of a model's architecture, as `arch` of `backbones.load` takes it.

    Args:
        short: timm's name, with or without a tag.

    Raises:
        LoadError: no family here serves it.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model: Any = timm.create_model(short, pretrained=False, num_classes=0)
    read = _READERS.get(type(model))
    fields = read(model) if read else None
    if fields is None:
        raise LoadError(
            f"timm:{short} is a {type(model).__name__} of a kind that no family here serves"
        )
    cfg = model.pretrained_cfg
    return {"mean": cfg["mean"], "std": cfg["std"], "format": "timm", **fields}


def _vit(model: Any) -> dict[str, Any] | None:
    block = model.blocks[0]
    gated = _is_swiglu(block.mlp)
    if not (gated or _is_gelu(block.mlp)) or not _plain(model):
        return None
    return {
        "image_size": tuple(model.patch_embed.img_size),
        "num_heads": block.attn.num_heads,
        "norm_eps": block.norm1.eps,
        **({"swiglu": True} if gated else {}),
    }


def _convnext(model: Any) -> dict[str, Any] | None:
    block = model.stages[0].blocks[0]
    patched = len(model.stem) == 2 and type(model.stem[1]) is LayerNorm2d
    if not patched or not _is_gelu(block.mlp) or block.conv_dw.bias is None:
        return None
    return {
        "image_size": tuple(model.pretrained_cfg["input_size"][1:]),
        "norm_eps": model.stem[1].eps,
    }


def _is_gelu(mlp: Any) -> bool:
    act = getattr(mlp, "act", None)
    return type(act) is GELU or (type(act) is nn.GELU and act.approximate == "none")


def _is_swiglu(mlp: Any) -> bool:
    packed = type(mlp) is GluMlp and type(mlp.act) is nn.SiLU and type(mlp.norm) is nn.Identity
    return packed and not mlp.gate_last


def _plain(model: Any) -> bool:
    return not isinstance(model, VisionTransformer) or type(model.blocks[0]) is Block


_READERS: dict[type, Callable[[Any], dict[str, Any] | None]] = {
    VisionTransformer: _vit,
    VisionTransformerDistilled: _vit,
    Beit: _vit,
    ConvNeXt: _convnext,
}
"""timm's class -> what its model tells, None if no family here builds it."""
