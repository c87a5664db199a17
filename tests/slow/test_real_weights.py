"""A trained encoder tells flowers apart as well as was recorded of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import backbones
from tests.backbones.real_weights import FLOWERS, FOLDER, saved


@pytest.mark.skipif(
    not (FOLDER.is_dir() and FLOWERS.is_dir()),
    reason="the trained weights and the flowers are not beside the repository",
)
def test_nearest_neighbours_among_flowers(tmp_path: Path) -> None:
    """Leave one out over 816 images, cosine. Random weights give 0.05 to 0.26, wrong colours or a
    wrong token fall below the bands; the bands are those recorded with timm's network."""
    table = load_file(FOLDER / "expected.safetensors")["pos_embed_16x16"]
    backbone = backbones.load(saved(tmp_path, table))
    files = sorted(FLOWERS.glob("*/*/*.jpg"))
    labels = np.array([path.parent.name for path in files])
    assert len(files) == 816
    features: dict[str, list[torch.Tensor]] = {"class before": [], "class": [], "mean": []}
    with torch.inference_mode():
        for first in range(0, len(files), 16):
            images = torch.stack([_image(path) for path in files[first : first + 16]])
            blocks = backbone.blocks(images)
            before, last = (backbone.encoder.norm(tokens) for tokens in blocks[-2:])
            features["class before"].append(before[:, 0])
            features["class"].append(last[:, 0])
            features["mean"].append(last[:, 1:].mean(dim=1))
    shares = {name: _nearest(torch.cat(parts), labels) for name, parts in features.items()}
    print(shares)
    assert 0.87 <= shares["class before"] <= 0.91
    assert 0.79 <= shares["class"] <= 0.85
    assert 0.62 <= shares["mean"] <= 0.69


def _image(path: Path) -> torch.Tensor:
    """The shorter side at 256 pixels, the middle 224, (3,224,224) in [0,1]."""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    top, left = ((side - 224) // 2 for side in pixels.shape[:2])
    crop = np.ascontiguousarray(pixels[top : top + 224, left : left + 224])
    return torch.from_numpy(crop).permute(2, 0, 1).float() / 255


def _nearest(features: torch.Tensor, labels: np.ndarray[tuple[int], np.dtype[np.str_]]) -> float:
    normed = torch.nn.functional.normalize(features)
    cosines = (normed @ normed.T).fill_diagonal_(-1)
    return float((labels[cosines.argmax(dim=1).numpy()] == labels).mean())
