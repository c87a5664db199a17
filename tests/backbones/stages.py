"""Small encoders with stages, and what their tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import backbones

FIXTURES = Path(__file__).parents[1] / "fixtures" / "checkpoints"

SMALL = {"embed_dim": 8, "depths": (2, 2, 2, 1), "num_heads": (1, 2, 2, 4), "window_size": 4}


def small(family: str, size: Any = 64, noise: float = 0.1, **options: Any) -> Any:
    """A new encoder. `noise` is added to all parameters: SwinV2's new blocks change nothing."""
    arch = SMALL | options.pop("arch", {})
    backbone = backbones.create(family, arch, size, options.pop("seed", 0), **options)
    random = torch.Generator().manual_seed(0)
    for parameter in backbone.parameters():
        parameter.data += noise * torch.randn(parameter.shape, generator=random)
    backbone.seal()
    return backbone


def outputs(name: str) -> dict[str, Tensor]:
    """What the reference implementation gave for a fixture."""
    return load_file(FIXTURES / name / "tensors.safetensors")


def checkpoint(name: str) -> Path:
    """A fixture's file."""
    return FIXTURES / name / "checkpoint.pth"


def merged(backbone: Any, maps: tuple[Tensor, ...], stage: int) -> Tensor:
    """The map of a stage after the merging that leads to the next."""
    merging = backbone.encoder.layers[stage + 1].downsample
    found: Tensor = merging(maps[stage].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return found


def unmasked_agree(backbone: Any, reference: dict[str, Tensor], images: Tensor, close: Any) -> None:
    """Check patch embedding, every stage before and after merging, and the normed last map."""
    assert close(backbone.patches(images).permute(0, 3, 1, 2), reference["patch_embed"])
    maps = backbone(images)
    assert len(maps) == 4
    for i, found in enumerate(maps):
        assert close(found, reference[f"stage{i}_pre_downsample"])
    for i in range(3):
        assert close(merged(backbone, maps, i), reference[f"stage{i}_output"])
    assert close(backbone.encode(images), reference["feature_map"])


def masked_agree(backbone: Any, reference: dict[str, Tensor], images: Tensor, close: Any) -> None:
    """Check masked features, the first stage on the way there, reconstruction and loss."""
    mask = reference["mask"].bool()
    hidden = mask.unsqueeze(-1)
    patches = torch.where(hidden, backbone.decoder.mask_token, backbone.patches(images))
    maps = {stage: x.permute(0, 3, 1, 2) for stage, x in backbone.run(patches)}
    assert close(merged(backbone, (maps[0],), 0), reference["masked_stage0_output"])
    features, reconstruction = backbone.masked(images, mask)
    assert close(features, reference["masked_feature_map"])
    assert close(reconstruction, reference["reconstruction"])
    patch = backbone.arch.patch_size
    hidden = mask.repeat_interleave(patch, 1).repeat_interleave(patch, 2).unsqueeze(1)
    difference = ((reconstruction - reference["image"]).abs() * hidden).sum()
    loss = difference / (hidden.sum() + 1e-5) / 3
    assert close(loss.view(1), reference["loss"].view(1))
