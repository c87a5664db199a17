"""Swin of OpenMMLab: small networks, and the comparison of every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import backbones
from backbones.formats.openmmlab_swin import MAP_NORMS, MERGING
from tasks import openmmlab

SHAPE = {"embed_dims": 8, "depths": (2, 2, 2, 1), "num_heads": (1, 2, 2, 4), "window_size": 4}


def network(package: str = "mmpose", **more: Any) -> Any:
    """A network of random numbers."""
    kind = openmmlab.load(f"{package}.models.backbones.swin").SwinTransformer
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(**SHAPE, drop_path_rate=0.0, **more)
        model.eval()  # gives nothing back
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model


def saved(path: Path, state: Any, prefix: str = "backbone.", **others: Any) -> Path:
    """Its file."""
    torch.save({"meta": {}, "state_dict": {prefix + n: v for n, v in state.items()} | others}, path)
    return path


def stages_agree(package: str, size: Any, folder: Path, close: Any) -> None:
    """Check every stage of a package's network."""
    model = network(package)
    path = saved(folder / "swin.pth", model.state_dict(), **{"neck.a": torch.ones(1)})
    backbone: Any = backbones.load(path, input_size=size)
    assert backbone.key_report.format == "openmmlab_swin"
    assert backbone.spec.arch["pad_small_maps"]
    images = torch.rand(2, 3, *backbone.input_size)
    theirs = model((images - backbone.mean) / backbone.std)
    for i, (found, reference) in enumerate(zip(backbone(images), theirs, strict=True)):
        norm = getattr(model, f"norm{i}")
        normed = norm(found.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        assert close(normed, reference), i
    assert close(backbone.encode(images), theirs[-1])
    assert len(backbone.key_report.converted[MERGING]) == 3 * 3
    assert len(backbone.key_report.dropped[MAP_NORMS]) == 3 * 2
