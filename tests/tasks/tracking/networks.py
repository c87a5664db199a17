"""Small encoders, a recipe and batches for the tests of the tracking model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import backbones
from tasks.tracking.model import SwinTrackModel
from tasks.tracking.recipe import TrackingRecipe
from tests.backbones.stages import small

Size = tuple[int, int]
SEARCH, TEMPLATE = (128, 128), (64, 64)


def recipe(size: Size = SEARCH, template: Size = TEMPLATE, **sections: Any) -> TrackingRecipe:
    """Smoke settings, narrow."""
    model = {"dim": 24, "heads": 3, "encoder_blocks": 2} | sections.pop("model", {})
    given = {
        "scale": "smoke",
        "backbone": {"input_size": size},
        "data": {"name": "microworld"},
        "crop": {"template_size": template},
        "optimizer": {"lr": 1e-3},
        "schedule": {},
        "train": {"batch_size": 4, "steps": 4},
        "model": model,
    }
    return TrackingRecipe.model_validate(given | sections)


def plain(size: Size = SEARCH, **options: Any) -> backbones.Backbone:
    arch = {"embed_dim": 12, "depth": 3, "patch_size": 16, "num_heads": 3}
    return backbones.create("vit", arch, size, seed=0, **options)


def hierarchical(size: Size = SEARCH, **options: Any) -> backbones.Backbone:
    found: backbones.Backbone = small("swin", size, **options)
    return found


def model(backbone: backbones.Backbone | None = None, **sections: Any) -> SwinTrackModel:
    """In evaluation mode; its weights are wide, so that everything bears on the output."""
    backbone = plain() if backbone is None else backbone
    built = SwinTrackModel(backbone, recipe(backbone.input_size, **sections))
    built.initialise(1)
    random = torch.Generator().manual_seed(2)
    for name, parameter in built.named_parameters():
        if not name.startswith("backbone."):
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=random)
    return built.eval()


def images(count: int = 2, size: Size = SEARCH, seed: int = 3) -> Tensor:
    """uint8 (count,3,h,w)."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (count, 3, *size), dtype=np.uint8))


def batch(count: int = 2, size: Size = SEARCH) -> dict[str, Any]:
    random = np.random.default_rng(5)
    first = random.uniform(0.5, 60, (count, 2))
    boxes = np.concatenate([first, first + random.uniform(8, 60, (count, 2))], axis=1)
    return {
        "template": images(count, TEMPLATE, seed=4),
        "image": images(count, size),
        "box": torch.from_numpy(boxes.astype(np.float32)),
    }
