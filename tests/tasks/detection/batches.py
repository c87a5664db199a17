"""Small batches of drawn objects, recipes and encoders for the detection model."""

from typing import Any

import numpy as np
import torch

import backbones
from tasks.contract import DataInfo
from tasks.detection.model import Detector
from tasks.detection.recipe import DetectionRecipe
from tests.backbones.stages import small

CLASSES = 3


def info(masks: bool = True) -> DataInfo:
    names = [f"class {i}" for i in range(CLASSES)]
    return DataInfo("", "training", 1, "", "", model={"classes": names, "masks": masks})


def recipe(size: tuple[int, int], **sections: dict[str, Any]) -> DetectionRecipe:
    narrow: dict[str, dict[str, Any]] = {
        "neck": {"channels": 16},
        "rpn": {"proposals_before": 60, "proposals_after": 40, "proposals_before_test": 50},
        "roi": {"sampled": 32, "width": 24, "mask_width": 8, "mask_convolutions": 2},
        "backbone": {"input_size": size},
        "data": {},
        "optimizer": {"lr": 1e-4},
        "schedule": {},
        "train": {"batch_size": 2, "steps": 1},
    }
    given = {name: narrow.get(name, {}) | sections.get(name, {}) for name in narrow | sections}
    return DetectionRecipe.model_validate({"task": "detection", "scale": "smoke"} | given)


def plain(size: tuple[int, int], patch: int = 16) -> backbones.Backbone:
    arch = {"embed_dim": 24, "depth": 1, "patch_size": patch, "num_heads": 2}
    return backbones.create("vit", arch, size, seed=0)


def staged(size: tuple[int, int]) -> backbones.Backbone:
    found: backbones.Backbone = small("swin", size)
    return found


def detector(
    backbone: backbones.Backbone, masks: bool = True, noise: float = 0.05, **sections: Any
) -> Detector:
    """With noise in its layers, since new ones say nearly the same of every box."""
    model = Detector(backbone, recipe(backbone.input_size, **sections), info(masks))
    model.initialise(0)
    drawn = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if not name.startswith("backbone."):
            parameter.data += noise * torch.randn(parameter.shape, generator=drawn)
    return model


def batch(
    size: tuple[int, int], counts: tuple[int, ...] = (3, 2), masks: bool = True, seed: int = 0
) -> dict[str, Any]:
    """Images of noise with `counts` elliptic objects; the images end before the canvas does."""
    rng = np.random.default_rng(seed)
    items = [_item(rng, size, count) for count in counts]
    found = {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in _STACKED}
    for name in ("boxes", "labels", "masks", "crowd"):
        found[name] = [torch.from_numpy(item[name]) for item in items]
    if not masks:
        del found["masks"]
    index = torch.arange(len(counts))
    return found | {"index": index, "image_id": index + 100, "sample_key": index * 7 + 2**40}


_STACKED = ("image", "extent", "scale", "image_size")


def _item(rng: np.random.Generator, size: tuple[int, int], count: int) -> dict[str, Any]:
    height, width = size
    extent = np.array([height - rng.integers(0, 20), width - rng.integers(0, 20)])
    corner = rng.uniform(0, 0.5, (count, 2)) * extent[::-1]
    side = rng.uniform(0.2, 0.5, (count, 2)) * extent[::-1]
    boxes = np.concatenate((corner, corner + side), 1).astype(np.float32)
    return {
        "image": rng.integers(0, 256, (3, height, width), dtype=np.uint8),
        "extent": extent,
        "scale": np.array([0.5, 0.5], np.float32),
        "image_size": 2 * extent,
        "boxes": boxes,
        "labels": rng.integers(0, CLASSES, count),
        "masks": np.stack([_ellipse(box, size) for box in boxes])
        if count
        else np.zeros((0, height, width), np.uint8),
        "crowd": np.zeros((0, 4), np.float32),
    }


def _ellipse(box: Any, size: tuple[int, int]) -> Any:
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    x1, y1, x2, y2 = box
    inside = ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= 1
    return inside.astype(np.uint8)


def take(given: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    """The samples of a batch at `rows`, in that order."""
    return {
        name: [value[i] for i in rows] if isinstance(value, list) else value[rows]
        for name, value in given.items()
    }
