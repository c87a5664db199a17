"""Small encoders, a recipe and batches for the tests of the depth model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import backbones
from tasks.contract import DataInfo
from tasks.depth.model import DepthModel
from tasks.depth.recipe import DepthRecipe
from tests.backbones.stages import small

Size = tuple[int, int]
HEADS = ("deconvolution", "dpt", "linear", "multiscale")
INFO = DataInfo("", "training", 1, "", "")


def recipe(size: Size = (64, 64), **sections: Any) -> DepthRecipe:
    """Smoke settings, with narrow heads."""
    head = {"filters": (8, 8, 8), "channels": 8, "bins": 16} | sections.pop("head", {})
    given = {
        "scale": "smoke",
        "backbone": {"input_size": size},
        "data": {"name": "microworld"},
        "optimizer": {"lr": 1e-3},
        "schedule": {},
        "train": {"batch_size": 4, "steps": 4},
        "head": head,
    }
    return DepthRecipe.model_validate(given | sections)


def plain(size: Size = (64, 64), patch: int = 16, depth: int = 5) -> backbones.Backbone:
    arch = {"embed_dim": 12, "depth": depth, "patch_size": patch, "num_heads": 3}
    return backbones.create("vit", arch, size, seed=0)


def hierarchical(size: Size = (64, 64)) -> backbones.Backbone:
    found: backbones.Backbone = small("swinv2", size)
    return found


def model(backbone: backbones.Backbone | None = None, **sections: Any) -> DepthModel:
    """In evaluation mode, its head's output spread by random running means and larger weights."""
    backbone = plain() if backbone is None else backbone
    head = {"init_std": 0.2} | sections.pop("head", {})
    given = recipe(backbone.input_size, head=head, **sections)
    built = DepthModel(backbone, given, INFO)
    built.initialise(1)
    return built.eval()


def images(count: int = 2, size: Size = (64, 64), seed: int = 3) -> torch.Tensor:
    """uint8 (count,3,h,w)."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (count, 3, *size), dtype=np.uint8))


def depths(count: int = 2, size: Size = (64, 64), seed: int = 4) -> torch.Tensor:
    """float32 (count,h,w) from 0.5 to 9 m, a fifth of it unknown."""
    random = np.random.default_rng(seed)
    found = random.uniform(0.5, 9, (count, *size)).astype(np.float32)
    found[random.random(found.shape) < 0.2] = 0
    return torch.from_numpy(found)
