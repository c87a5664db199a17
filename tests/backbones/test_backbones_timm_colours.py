"""Mean and std of bare files under timm's names are those that timm itself has for them."""

import pytest
import timm
import torch

import backbones

TINY = {"img_size": 64, "embed_dim": 64, "depth": 1, "num_heads": 1}


@pytest.mark.parametrize(
    "name",
    [
        "eva02_tiny_patch14_224.mim_in22k",
        "eva02_base_patch14_448.mim_in22k_ft_in1k",
        "vit_small_patch16_dinov3.lvd1689m",
    ],
)
def test_colours(name, tmp_path):
    torch.save(timm.create_model(name.partition(".")[0], **TINY).state_dict(), tmp_path / "a.pth")
    spec = backbones.load(tmp_path / "a.pth", arch={"num_heads": 1}).spec
    published = timm.get_pretrained_cfg(name)
    assert spec.family == "eva"
    assert (spec.mean, spec.std) == (published.mean, published.std)
