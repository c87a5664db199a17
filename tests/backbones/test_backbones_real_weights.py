"""Weights that somebody trained, under timm's names: a ViT-S/14 in the layout of DINOv2."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import backbones

FOLDER = Path(__file__).parents[2] / "../shared/weights/dinov2_vits14_imgfocus"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the trained weights are not beside the repository")
def test_features_of_a_trained_encoder(tmp_path):
    """Recorded from the same numbers; the smallest mistake known to matter gives 2e-3."""
    stored = load_file(FOLDER / "encoder_int8.safetensors")
    weights = {
        name: value.float() * stored[f"{name}.scale"].view(-1, *[1] * (value.ndim - 1))
        if value.dtype == torch.int8
        else value.float()
        for name, value in stored.items()
        if not name.endswith(".scale")
    }
    save_file(weights, tmp_path / "vit.safetensors")
    arch = {"position_resize": "bicubic"}
    backbone = backbones.load(tmp_path / "vit.safetensors", input_size=224, arch=arch)
    assert backbone.key_report.line().startswith("timm: 174 tensors, 173 used, 1 converted")
    expected = load_file(FOLDER / "expected.safetensors")
    images = expected["input_uint8"][:2].permute(0, 3, 1, 2).float() / 255
    tokens = backbone.blocks(images)
    found = {
        "int8_cls": backbone.encoder.norm(tokens[-1])[:, 0],
        "int8_patch_mean": backbone.encoder.norm(tokens[-1])[:, 1:].mean(dim=1),
        "int8_block_cls": torch.stack([t[:, 0] for t in tokens]),
    }
    for name, ours in found.items():
        reference = expected[name][..., :2, :]
        assert (ours - reference).norm() / reference.norm() < 1e-4, name
