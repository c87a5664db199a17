"""The published contract test passes our encoders and catches what breaks the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import backbones
from harness.testing import check_backbone


def encoder(family: str = "beit", size: Any = (32, 48)) -> Any:
    arch = {"embed_dim": 32, "depth": 2, "patch_size": 16, "num_heads": 2}
    return backbones.create(family, arch, size, seed=0)


@pytest.mark.parametrize("family", ["beit", "vit", "eva"])
@pytest.mark.parametrize("size", [(32, 48), (100, 131), 17], ids=str)
def test_our_encoders_keep_the_contract(family: str, size: Any) -> None:
    check_backbone(encoder(family, size))


@pytest.mark.parametrize(
    "arch",
    [
        {"dist_token": True, "reg_tokens": 2},
        {"reg_tokens": 3, "embed_registers": False, "swiglu": True},
        {"reg_tokens": 1, "embed_class": False, "pool": "mean", "layer_scale": 0.5},
    ],
    ids=str,
)
def test_every_kind_of_plain_vit_keeps_the_contract(arch: Any) -> None:
    shape = {"embed_dim": 32, "depth": 2, "patch_size": 16, "num_heads": 2}
    check_backbone(backbones.create("vit", shape | arch, (32, 48), seed=0))


@pytest.mark.parametrize("arch", [{}, {"q_pool": 2}, {"window_table": True, "table": (6, 6)}])
@pytest.mark.parametrize("size", [(64, 96), (70, 45)], ids=str)
def test_hieras_keep_the_contract(arch: Any, size: Any) -> None:
    shape = {"embed_dim": 8, "depths": (1, 2, 2, 1), "num_heads": 1}
    check_backbone(backbones.create("hiera", shape | arch, size, seed=0))


@pytest.mark.parametrize("mlp", ["gelu", "swiglu_apart"])
def test_dinov3_keeps_the_contract(mlp: str) -> None:
    shape = {"embed_dim": 32, "depth": 2, "patch_size": 16, "num_heads": 2, "rope": "dinov3"}
    check_backbone(backbones.create("eva", shape | {"mlp": mlp}, (40, 64), seed=0))


CHECKPOINTS = Path(__file__).parents[2] / "fixtures" / "checkpoints"
TWO_HEADS = {"num_heads": 2}
PUBLISHED = {
    "beit_pretrain": (None, (40, 64)),
    "beit_finetuned": (None, (41, 50)),
    "deit": (TWO_HEADS, (40, 64)),
    "dino": (TWO_HEADS | {"format": "dino"}, (41, 50)),
    "ibot": (TWO_HEADS | {"format": "ibot"}, (40, 64)),
    "moco_v3": (TWO_HEADS, (41, 50)),
    "dinov2": (TWO_HEADS, (70, 113)),
}


@pytest.mark.parametrize("resized", [False, True])
@pytest.mark.parametrize("name", PUBLISHED)
def test_encoders_of_published_layouts_keep_the_contract(name: str, resized: bool) -> None:
    arch, size = PUBLISHED[name]
    path = CHECKPOINTS / name / "checkpoint.pth"
    check_backbone(backbones.load(path, input_size=size if resized else None, arch=arch))


def test_positions_beyond_the_input_are_caught() -> None:
    broken = encoder()
    positions = broken._positions(torch.device("cpu"))
    broken._positions = lambda device: positions + 10
    with pytest.raises(AssertionError, match="positions are pixels of the input"):
        check_backbone(broken)


def batch_statistics(whole: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda images: whole(images) - whole(images).mean(0, keepdim=True)


def noise(whole: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda images: whole(images) + torch.rand(())


def blindness(whole: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda images: whole(torch.zeros_like(images))


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (batch_statistics, "depend on it alone"),
        (noise, "the same images give the same features"),
        (blindness, "different images give different features"),
    ],
)
def test_features_that_break_a_rule_are_caught(fault: Any, rule: str) -> None:
    broken = encoder()
    broken.encode = fault(broken.encode)
    with pytest.raises(AssertionError, match=rule):
        check_backbone(broken)


def test_changed_parameters_are_caught() -> None:
    broken = encoder()
    with torch.no_grad():
        next(p for n, p in broken.named_parameters() if n.startswith("encoder.")).add_(1)
    with pytest.raises(AssertionError, match="loaded_sha256"):
        check_backbone(broken)


def test_a_layer_without_a_number_is_caught() -> None:
    broken = encoder()
    layers = broken.layer_ids()
    layers.popitem()
    broken.layer_ids = lambda rule=None: layers
    with pytest.raises(AssertionError, match="numbers every parameter"):
        check_backbone(broken)


def test_an_encoder_in_training_mode_is_caught() -> None:
    with pytest.raises(AssertionError, match="evaluation mode"):
        check_backbone(encoder().train())
