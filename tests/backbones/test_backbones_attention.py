"""Attention equals the probabilities inside the reference networks."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import backbones
from backbones.families.positions import resize_absolute

CASES = {
    "simmim_own_bias": {},
    "simmim_shared_bias": {"pool": "class_token"},
    "simmim_own_bias_nonsquare": {"image_size": (48, 32)},
    "simmim_abs_pos_both_biases": {},
    "dino_native": {"num_heads": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_probabilities_and_output(fixtures, case):
    """Against the float64 run of the reference; 1e-5 leaves room for float32 alone."""
    folder = fixtures / "vit_attention"
    arch = CASES[case] | {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    backbone = backbones.load(folder / f"{case}.state_dict.safetensors", arch=arch)
    outputs = np.load(folder / f"{case}.npz")
    images = torch.from_numpy(outputs["image"])
    maps = list(backbone.attention(images))
    assert len(maps) == len(backbone.encoder.blocks)
    for attention in maps:
        reference = torch.from_numpy(outputs[f"f64.blocks.{attention.block}.attention"])
        assert attention.probabilities.shape == reference.shape
        assert torch.allclose(attention.probabilities.double(), reference, atol=1e-5)
    pooled = torch.from_numpy(outputs["f64.output"])
    assert torch.allclose(backbone.pooled(images).double(), pooled, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_in_float64_it_is_the_reference_to_rounding(case, fixtures):
    """All tokens in one window, where every pair is allowed, class token included."""
    folder = fixtures / "vit_attention"
    arch = CASES[case] | {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    backbone = backbones.load(folder / f"{case}.state_dict.safetensors", arch=arch).double()
    outputs = np.load(folder / f"{case}.npz")
    images = torch.from_numpy(outputs["image"]).double()
    for number, found in enumerate(backbone.attention_in_windows(images)):
        reference = torch.from_numpy(outputs[f"f64.blocks.{number}.attention"])
        assert (found.probabilities[:, 0] - reference).abs().max() < 1e-9
        assert found.allowed.all() and found.allowed.shape == (1, *reference.shape[2:])
        assert found.prefix == 1


def test_at_another_size_it_is_the_reference_to_rounding(fixtures):
    """DINO at 40x56 pixels of 32x32. The reference resizes the position table in float64; that it
    is float32 here costs 5e-6, so the table is resized once more."""
    path = fixtures / "vit_attention" / "dino_other_size.state_dict.safetensors"
    arch = {"num_heads": 4, "position_resize": "bicubic_offset"}
    arch |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    backbone = backbones.load(path, input_size=(40, 56), arch=arch).double()
    table = load_file(path)["pos_embed"].double()
    resized = resize_absolute(table, 1, (4, 4), (5, 7), "bicubic_offset")
    assert (backbone.encoder.pos_embed - resized).abs().max() < 5e-6
    backbone.encoder.pos_embed.copy_(resized)
    outputs = np.load(fixtures / "vit_attention" / "dino_other_size.npz")
    images = torch.from_numpy(outputs["image"]).double()
    for number, found in enumerate(backbone.attention_in_windows(images)):
        reference = torch.from_numpy(outputs[f"f64.blocks.{number}.attention"])
        assert (found.probabilities[:, 0] - reference).abs().max() < 1e-9


def test_positions_are_patch_centres_in_pixels(tiny):
    backbone = tiny(size=(16, 24))
    images = torch.rand(1, 3, 16, 24)
    attention = next(backbone.attention(images))
    positions = attention.key_positions
    assert positions[0].isnan().all()
    centres = [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]
    assert positions[1:].tolist() == centres
    assert torch.equal(attention.query_positions[1:], positions[1:])
    assert torch.allclose(attention.probabilities.sum(dim=-1), torch.ones(1, 3, 7))


@pytest.mark.parametrize("family", ["beit", "vit", "eva"])
def test_positions_of_padded_patches_are_inside_the_input(tiny, family):
    """Patches of 8 pixels in 13 rows and 19 columns: the third column's centre would be at 20."""
    positions = next(tiny(family, size=(13, 19)).attention(torch.rand(1, 3, 13, 19))).key_positions
    assert positions[1:].tolist() == [[4, 4], [12, 4], [19, 4], [4, 12], [12, 12], [19, 12]]


@pytest.mark.parametrize("family", ["beit", "vit", "eva"])
def test_looking_changes_nothing(tiny, family):
    """Also when the caller stops after the first block: fused attention comes back."""
    backbone = tiny(family)
    images = torch.rand(1, 3, 32, 32)
    before = backbone.encode(images)
    stream = backbone.attention(images)
    next(stream)
    stream.close()
    assert all(block.attn.fused_attn for block in backbone.encoder.blocks)
    assert not any(block.attn.attn_drop._forward_pre_hooks for block in backbone.encoder.blocks)
    assert torch.equal(backbone.encode(images), before)
