"""Small Hieras, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import backbones

DEPTHS = (1, 2, 3, 1)
ARCH = {"embed_dim": 8, "depths": DEPTHS, "num_heads": 1}
HEAD = {"num_heads": 1}
DECODER = {"decoder_embed_dim": 12, "decoder_depth": 2, "decoder_num_heads": 3}


def new(size: Any = 64, **options: Any) -> Any:
    """A new encoder, its values far from where they begin."""
    backbone = backbones.create("hiera", ARCH | options.pop("arch", {}), size, 0, **options)
    random = torch.Generator().manual_seed(1)
    for parameter in backbone.parameters():
        parameter += 0.2 * torch.randn(parameter.shape, generator=random)
    backbone.seal()
    return backbone


def published(backbone: Any, norm: str = "norm.") -> dict[str, Tensor]:
    """The state dict that facebookresearch/hiera would write of an encoder."""
    starts = [sum(DEPTHS[:i]) for i in range(4)]
    tensors = {}
    for name, value in backbone.state_dict().items():
        name = name.removeprefix("encoder.")
        if name.startswith("layers."):
            _, stage, _, block, rest = name.split(".", 4)
            name = f"blocks.{starts[int(stage)] + int(block)}.{rest}"
        if name.startswith("decoder."):
            name = name.replace("decoder.", "decoder_", 1)
            for theirs in ("mask_token", "encoder_norm"):
                name = name.replace(f"decoder_{theirs}", theirs)
            name = name.replace("decoder_fusion", "multi_scale_fusion_heads")
        name = name.replace("fc_norm.", norm).replace("head.", "head.projection.")
        tensors[name] = value
    return tensors


def saved(tensors: dict[str, Tensor], path: Path) -> Path:
    """Write a file as facebookresearch/hiera does."""
    torch.save({"epoch": 3, "model_state": tensors}, path)
    return path
