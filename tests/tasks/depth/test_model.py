"""The depth model around its head: views, losses, rows, settings, and the control."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import backbones
from harness.engine import optimizer
from tasks.contract import RecipeError
from tasks.depth import levels, storage
from tasks.depth.fitting import fit
from tasks.depth.losses import silog
from tasks.depth.model import DepthModel, MeanDepth, rows
from tests.backbones.stages import FIXTURES, small
from tests.backbones.test_backbones_stage_layers import ours
from tests.tasks.depth.networks import (
    HEADS,
    INFO,
    Size,
    depths,
    hierarchical,
    images,
    model,
    plain,
    recipe,
)

WIDE: dict[str, Any] = {"size": (64, 100), "windows": 2}


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is given to be stored."""
    calls: list[tuple[Any, ...]] = []

    def pack(*given: Any) -> bytes:
        calls.append(given)
        return bytes([len(calls)])

    monkeypatch.setattr(storage, "pack", pack)
    return calls


def batch(size: Size = (64, 64), truth: tuple[Size, ...] = ((64, 64), (64, 64))) -> dict[str, Any]:
    random = np.random.default_rng(0)
    bits = [np.packbits(random.random(h * w) < 0.5) for h, w in truth]
    return {
        "image": images(len(truth), size),
        "depth": depths(len(truth), size),
        "index": torch.arange(len(truth)) + 7,
        "truth_size": torch.tensor(truth),
        "valid": [torch.from_numpy(each) for each in bits],
    }


@pytest.mark.parametrize("make", [plain, hierarchical])
@pytest.mark.parametrize("kind", HEADS)
def test_everything_trained_has_a_gradient(kind: str, make: Any) -> None:
    built = model(make(), head={"type": kind}).train()
    term = built.loss(batch())["silog"]
    torch.autograd.backward(term.value)
    for name, parameter in built.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        else:
            assert "norm" in name, name
    trained = [n for n, p in built.backbone.named_parameters() if p.requires_grad]
    assert ("encoder.norm.weight" in trained) == (kind in ("deconvolution", "linear"))


@torch.no_grad()
@pytest.mark.parametrize("make", [plain, hierarchical])
@pytest.mark.parametrize("kind", HEADS)
def test_loss_is_of_the_depth_at_the_truth(kind: str, make: Any) -> None:
    built, given = model(make(), head={"type": kind}), batch()
    depth = built.depth(given["image"] / 255)
    enlarged = functional.interpolate(depth, (64, 64), mode="bilinear")
    expected = silog(enlarged, given["depth"], built.recipe.loss).value
    assert built.loss(given)["silog"].value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_plain_encoders_levels_are_equally_spaced() -> None:
    for depth, expected in ((12, (2, 5, 8, 11)), (5, (1, 2, 3, 4)), (4, (0, 1, 2, 3))):
        encoder = plain(depth=depth)
        blocks = encoder.blocks(images()[:1] / 255)
        found = levels.read(encoder, images()[:1] / 255, several=True)
        for x, block in zip(found, expected, strict=True):
            assert torch.equal(x, blocks[block][:, 1:].transpose(1, 2).reshape(1, 12, 4, 4))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["deconvolution", "multiscale"])
@pytest.mark.parametrize("test", [WIDE, {}], ids=["windows", "whole"])
def test_kept_features_stand_for_images(
    kind: str, test: dict[str, Any], packed: list[tuple[Any, ...]]
) -> None:
    """Loss and predictions are those of the images, also where these are wide."""
    built, given = model(head={"type": kind}, test=test), batch(WIDE["size"] if test else (64, 64))
    kept = {name: given[name] for name in given if name != "image"}
    for training in (True, False):
        features = built.features(given, training)
        lefts = (0, 36) if test else (0,)
        words = ("map",) if training else ("map", "mirrored")
        numbers = range(4 if kind == "multiscale" else 1)
        assert set(features) == {f"{w}{k}_at{x}" for w in words for k in numbers for x in lefts}
        assert {x.shape for x in features.values()} == {(2, 12, 4, 4)}
        expected = built.loss(given)["silog"].value
        found = built.loss(kept | {"features": features})["silog"].value
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    built.predict(given)
    built.predict(kept | {"features": features})
    for k in range(2):
        np.testing.assert_allclose(packed[k][0], packed[2 + k][0], rtol=1e-5)


@torch.no_grad()
def test_windows_look_at_the_image_they_cover() -> None:
    """Columns under one window are what the encoder gives of it alone, the others are means."""
    built = model(test=WIDE | {"flip": False})
    wide = images(2, WIDE["size"]) / 255
    first, second = built.depth(wide[..., :64]), built.depth(wide[..., 36:])
    found = built.estimate(wide)
    assert found.shape == (2, 1, 64, 100)
    torch.testing.assert_close(found[..., :36], first[..., :36])
    torch.testing.assert_close(found[..., 64:], second[..., 28:])
    torch.testing.assert_close(found[..., 36:64], (first[..., 36:] + second[..., :28]) / 2)


@torch.no_grad()
@pytest.mark.parametrize("test", [WIDE, {}], ids=["windows", "whole"])
def test_flip(test: dict[str, Any]) -> None:
    """The mean with the mirror image's depth: a mirrored image has the mirrored estimate."""
    built = model(test=test)
    given = images(2, WIDE["size"] if test else (64, 64)) / 255
    found = built.estimate(given)
    torch.testing.assert_close(built.estimate(given.flip(-1)).flip(-1), found)
    plainly = model(test=test | {"flip": False})
    mean = (plainly.estimate(given) + plainly.estimate(given.flip(-1)).flip(-1)) / 2
    torch.testing.assert_close(found, mean)
    assert (found - plainly.estimate(given)).abs().max() > 1e-3


@torch.no_grad()
def test_rows(packed: list[tuple[Any, ...]]) -> None:
    """Depth at the size at which is measured, and the pixels that count there."""
    built, given = model(), batch(truth=((64, 64), (50, 90)))
    found = built.predict(given)
    assert [(r["sample"], r["height"], r["width"], r["depth"]) for r in found] == [
        (7, 64, 64, b"\1"),
        (8, 50, 90, b"\2"),
    ]
    assert all(np.isnan(row["number"]) for row in found)
    estimate = built.estimate(given["image"] / 255)
    assert np.array_equal(packed[0][0], estimate[0, 0].numpy()), "no resampling without need"
    enlarged = functional.interpolate(estimate[1:], (50, 90), mode="bilinear")[0, 0]
    np.testing.assert_allclose(packed[1][0], enlarged.numpy(), rtol=1e-6)
    for (depth, keep, cap, valid), bits in zip(packed, given["valid"], strict=True):
        assert depth.dtype == np.float32
        assert (keep, cap) == ("uint16", 10)
        assert valid.shape == depth.shape
        assert valid.dtype == bool
        assert np.array_equal(np.packbits(valid), bits.numpy())


@torch.no_grad()
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("far", [5.0, 80.0])
def test_another_range_is_measured_of_the_same_network(kind: str, far: float) -> None:
    """What the recipe leaves open is decided when the network is made, and written out."""
    made = model(head={"type": kind})
    assert made.recipe.head.reach == (1e-3, 10)
    measure = made.recipe.measure.model_copy(update={"min_depth": 1.0, "max_depth": far})
    later = DepthModel(plain(), made.recipe.model_copy(update={"measure": measure}), INFO).eval()
    later.load_state_dict(made.state_dict())
    assert torch.equal(later.depth(images() / 255), made.depth(images() / 255))


def test_depths_above_the_measured_range_are_kept() -> None:
    """Whoever measures up to 5 m must know that 8 m was predicted."""
    given = recipe(head={"reach": (1e-3, 10)}, measure={"max_depth": 5})
    stored = rows(batch(truth=((3, 4), (6, 8))), torch.full((2, 1, 3, 4), 8.0), given)
    for row in stored:
        np.testing.assert_allclose(storage.unpack(row["depth"]), 8, atol=1e-4)


def test_constant(packed: list[tuple[Any, ...]]) -> None:
    mean = np.arange(12, dtype=np.float32).reshape(3, 4)
    control = MeanDepth(mean, 2.5, recipe())
    found = control.predict(batch(truth=((3, 4), (6, 8))))
    assert [row["number"] for row in found] == [2.5, 2.5]
    assert np.array_equal(packed[0][0], mean.clip(max=10)), "11 m lie beyond the cap"
    twice = functional.interpolate(torch.from_numpy(mean)[None, None], (6, 8), mode="bilinear")
    np.testing.assert_allclose(packed[1][0], twice[0, 0].numpy().clip(max=10))
    assert not list(control.parameters())


@torch.no_grad()
def test_images_as_they_are() -> None:
    """Equals the encoder on images that its normalisation takes back, and touches no parameter."""
    usual, without = model(), model(normalise="none")
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    given = images() / 255
    torch.testing.assert_close(without.depth(given), usual.depth(given * std + mean))
    assert (without.depth(given) - usual.depth(given)).abs().max() > 1e-3
    encoder = without.backbone
    assert encoder.parameters_sha256() == encoder.loaded_sha256 == plain().parameters_sha256()
    assert (encoder.spec.mean, encoder.spec.std) == ((0, 0, 0), (1, 1, 1))


MEAN, STD = plain().spec.mean, plain().spec.std


def test_only_the_head_is_drawn() -> None:
    built = model()
    before = {name: value.clone() for name, value in built.state_dict().items()}
    built.initialise(5)
    changed = {n for n, v in built.state_dict().items() if not torch.equal(v, before[n])}
    assert changed
    assert all(name.startswith("head.") for name in changed)


@pytest.mark.parametrize(("scale", "decay"), [("base", 0.9)])
def test_layers_of_the_published_optimiser(scale: str, decay: float) -> None:
    """Layer, rate and decay of every parameter, the head's included: 29 levels."""
    stored = json.loads((FIXTURES / "layer_ids" / f"mim_depth_swinv2_{scale}.json").read_text())
    depth = ("decoder.", "last_layer_depth.")
    expected = {
        f"head.{name.removeprefix('decoder.')}" if name.startswith(depth) else _encoder(name): row
        for name, row in stored.items()
    }
    arch = {"embed_dim": 2, "depths": (2, 2, 18, 2), "num_heads": 1, "window_size": 2}
    encoder = backbones.create("swinv2", arch | {"variant": "mim_depth"}, 64, 0)
    rates = {"lr": 5e-4, "layer_decay": decay, "layer_rule": "mim_depth"}
    given = recipe(optimizer=rates, head={"type": "deconvolution"})
    found = optimizer.placements(DepthModel(encoder, given, INFO), given)
    assert set(found) == set(expected)
    for name, (layer, factor, weight_decay) in expected.items():
        assert found[name].layer == layer, name
        assert found[name].scale == pytest.approx(factor), name
        assert found[name].decays == (weight_decay > 0), name
    assert max(each.layer for each in found.values()) == 28


def _encoder(name: str) -> str:
    return f"backbone.{ours(name)}"


@pytest.mark.parametrize(("patch", "filters"), [(32, (8, 8, 8)), (16, (8, 8)), (8, (8,)), (4, ())])
def test_fitted(patch: int, filters: tuple[int, ...]) -> None:
    encoder = plain(patch=patch)
    fitted, notes = fit(recipe(), encoder)
    assert fitted.head.filters == filters
    assert bool(notes) == (patch != 32)
    assert fit(fitted, encoder) == (fitted, ())
    for kind in HEADS:
        other, none = fit(recipe(head={"type": kind}), encoder)
        assert kind == "deconvolution" or (other.head.filters, none) == ((8, 8, 8), ())


def test_fitted_to_a_stride_that_is_no_power_of_two() -> None:
    given = recipe((64, 64), test=WIDE)
    fitted, notes = fit(given, plain((70, 70), patch=14))
    assert fitted.backbone.input_size == (70, 70)
    assert fitted.test.size == (70, 109)
    assert fitted.head.filters == (8, 8)
    assert len(notes) == 2
    assert fit(fitted, plain((70, 70), patch=14)) == (fitted, ())
    built = DepthModel(plain((70, 70), patch=14), fitted, INFO).eval()
    built.initialise(0)
    with torch.no_grad():
        assert built.depth(images(1, (70, 70)) / 255).shape == (1, 1, 80, 80)
        assert built.estimate(images(1, (70, 109)) / 255).shape == (1, 1, 70, 109)


@pytest.mark.parametrize(
    ("size", "test", "said"),
    [
        ((64, 64), {"windows": 2}, "no wider than the input"),
        ((64, 64), {"size": (64, 100)}, "do not go into an encoder for 64x64"),
        ((64, 64), {"size": (80, 100), "windows": 2}, "do not go into"),
        ((64, 96), {"size": (64, 128), "windows": 2}, "do not go into"),
    ],
)
def test_windows_that_do_not_fit(size: Size, test: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        fit(recipe(size, test=test), plain(size))


def test_too_few_maps() -> None:
    arch = {"depths": (1, 1), "num_heads": (1, 2)}
    encoder = small("swin", 64, arch=arch)
    with pytest.raises(RecipeError, match=r"has 2 maps, the head needs 4: .*deconvolution"):
        model(encoder, head={"type": "dpt"})


def test_frozen_encoders_keep_their_flags() -> None:
    """The engine fixes them; what is unused is not looked for."""
    assert all(p.requires_grad for p in model(protocol="frozen").backbone.parameters())


def test_held_out_loss_of_wide_images() -> None:
    """In evaluation mode the loss is of the windows' mean, without the flip test."""
    built, given = model(test=WIDE), batch(WIDE["size"])
    with torch.no_grad():
        plainly = model(test=WIDE | {"flip": False}).estimate(given["image"] / 255)
        expected: Tensor = silog(plainly, given["depth"], built.recipe.loss).value
        found = built.loss(given)["silog"].value
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
