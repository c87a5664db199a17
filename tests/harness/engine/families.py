"""Small encoders of every family that pose is run with, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backbones

PLAIN = {"embed_dim": 12, "depth": 2, "num_heads": 1}
STAGES = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": 1}
WINDOWS = STAGES | {"window_size": 4}

CASES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "vit16": ("vit", PLAIN | {"patch_size": 16}, 16, 2),
    "vit14": ("vit", PLAIN | {"patch_size": 14}, 14, 2),
    "vit8": ("vit", PLAIN | {"patch_size": 8}, 8, 1),
    "vit32": ("vit", PLAIN | {"patch_size": 32}, 32, 3),
    "beit": ("beit", PLAIN | {"patch_size": 16}, 16, 2),
    "eva": ("eva", PLAIN | {"patch_size": 16, "mlp_hidden": 20}, 16, 2),
    "swin": ("swin", WINDOWS, 32, 3),
    "swinv2": ("swinv2", WINDOWS, 32, 3),
    "hiera": ("hiera", STAGES, 32, 3),
    "convnext": ("convnext", {"dims": (8, 12, 16, 24), "depths": (1, 1, 1, 1)}, 32, 3),
}
"""Name -> family, architecture, stride of the last map, deconvolutions that follow from it."""


def saved(name: str, folder: Path) -> Path:
    """Write the encoder, of 112 or 128 pixels, and return its file."""
    family, arch, stride, _ = CASES[name]
    backbone = backbones.create(family, arch, 112 if stride == 14 else 128, seed=0)
    path = folder / f"{name}.safetensors"
    backbones.save(backbone, path, {"name": name})
    return path
