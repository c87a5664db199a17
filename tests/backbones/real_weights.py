"""The trained encoder beside the repository, as an ordinary file."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SHARED = Path(__file__).parents[2] / "../shared"
FOLDER = SHARED / "weights/dinov2_vits14_imgfocus"
FLOWERS = SHARED / "data/flowers17"


def dequantised() -> dict[str, Tensor]:
    """All tensors under timm's names, float32."""
    stored = load_file(FOLDER / "encoder_int8.safetensors")
    return {
        name: value.float() * stored[f"{name}.scale"].view(-1, *[1] * (value.ndim - 1))
        if value.dtype == torch.int8
        else value.float()
        for name, value in stored.items()
        if not name.endswith(".scale")
    }


def saved(folder: Path, table: Tensor) -> Path:
    """Save them with this position table."""
    path = folder / "vit.safetensors"
    save_file(dequantised() | {"pos_embed": table}, path)
    return path
