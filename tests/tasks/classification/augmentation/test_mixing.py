"""Mixup, cutmix, soft targets and their loss against timm's (fixture: release 0.4.12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tasks.classification.augmentation import mixing
from tasks.classification.augmentation.settings import MixRecipe

FOLDER = Path(__file__).parents[3] / "fixtures/recipes/losses"
TENSORS = load_file(FOLDER / "timm_ce.safetensors")
VALUES = json.loads((FOLDER / "timm_ce.json").read_text())
PUBLISHED = MixRecipe(mixup=0.8, cutmix=1.0, probability=1.0, switch_probability=0.5)
LABELS, LOGITS = TENSORS["labels"], TENSORS["logits"]


class Legacy:
    """numpy's old generator, which timm draws from, asked as the new one is."""

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed)
        self.random, self.beta, self.integers = (
            self._state.random_sample,
            self._state.beta,
            self._state.randint,
        )


def loss(targets: torch.Tensor) -> float:
    return float(mixing.soft_cross_entropy(LOGITS.double(), targets.double()).mean())


def test_losses() -> None:
    smooth = mixing.soft_targets(LABELS, 10, 0.1, torch.float64)
    assert loss(smooth) == pytest.approx(VALUES["label_smoothing_0.1_float64"], rel=1e-9)
    for name, targets in (("mixup", "0.7"), ("lam1", "1")):
        expected = VALUES[f"soft_target_{name}_float64"]
        assert loss(TENSORS[f"out_target_lam{targets}"]) == pytest.approx(expected, rel=1e-9)
    single = mixing.soft_cross_entropy(LOGITS, mixing.soft_targets(LABELS, 10, 0.1))
    assert single.shape == (6,)
    assert float(single.mean()) == pytest.approx(VALUES["label_smoothing_0.1"], rel=1e-6)


def test_soft_targets() -> None:
    rows = mixing.soft_targets(LABELS, 10, 0.1)
    assert torch.equal(rows, TENSORS["out_target_lam1"])
    back = torch.arange(6).flip(0)
    images = torch.zeros(6, 3, 2, 2)
    _, both = mixing.mixed(images, rows, mixing.Draw(0.7, None), back)
    torch.testing.assert_close(both, TENSORS["out_target_lam0.7"], rtol=0, atol=1e-7)
    assert torch.equal(mixing.soft_targets(LABELS, 10, 0.0).argmax(-1), LABELS)


@pytest.mark.parametrize("seed", range(4))
def test_batches_are_mixed_as_timm_does(seed: int) -> None:
    """Its draws and its partners, sample B-1-i of sample i."""
    generator: Any = Legacy(seed)
    drawn = mixing.draw((8, 8), PUBLISHED, generator)
    assert (drawn.box is not None) == (VALUES["mixup_batch_mode"][seed]["kind"] == "cutmix")
    rows = mixing.soft_targets(LABELS, 10, 0.1)
    images, targets = mixing.mixed(
        TENSORS[f"mixup_in_{seed}"], rows, drawn, torch.arange(6).flip(0)
    )
    torch.testing.assert_close(images, TENSORS[f"mixup_out_{seed}"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(targets, TENSORS[f"mixup_target_{seed}"], rtol=0, atol=1e-7)


def batch(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.arange(count).float()[:, None, None, None].expand(count, 3, 12, 10).clone()
    return images, mixing.soft_targets(torch.arange(count), count, 0.0)


@pytest.mark.parametrize("recipe", [MixRecipe(mixup=0.8), MixRecipe(cutmix=1.0)])
def test_partners_are_half_a_batch_apart(recipe: MixRecipe) -> None:
    images, targets = batch(8)
    before = images.clone()
    for key in range(20):
        mixed, shares = mixing.mix(images, targets, recipe, key)
        assert torch.equal(images, before)
        for i in range(8):
            own, other = float(shares[i, i]), float(shares[i, (i + 4) % 8])
            assert own + other == pytest.approx(1, abs=1e-6)
            # What is in the target is in the image.
            assert float(mixed[i].mean()) == pytest.approx(
                own * i + other * ((i + 4) % 8), abs=1e-4
            )


def test_two_processes_mix_as_one_does() -> None:
    images, targets = batch(8)
    for key in range(20):
        whole = mixing.mix(images, targets, PUBLISHED, key)
        for rank in range(2):
            part = mixing.mix(images[rank::2], targets[rank::2], PUBLISHED, key)
            assert torch.equal(part[0], whole[0][rank::2])
            assert torch.equal(part[1], whole[1][rank::2])


def test_draws_have_the_declared_distribution() -> None:
    rng, count = np.random.default_rng(0), 4000
    recipe = MixRecipe(mixup=0.8, cutmix=1.0, probability=0.75, switch_probability=0.25)
    drawn = [mixing.draw((224, 160), recipe, rng) for _ in range(count)]
    idle = sum(one == mixing.UNMIXED for one in drawn)
    # Beta(1,1) boxes that are too small to have an area are unmixed too: fewer than 1 in 1,000.
    assert abs(idle / count - 0.25) < 4 * np.sqrt(0.25 * 0.75 / count) + 1e-3
    pasted = [one for one in drawn if one.box is not None]
    assert abs(len(pasted) / (count - idle) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / (count - idle))
    shares = np.array([one.share for one in drawn if one.box is None and one.share < 1])
    # Variance of Beta(a,a): 1/(4(2a+1)).
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * 2.6), rel=0.1)
    for one in pasted:
        top, left, bottom, right = one.box or (0, 0, 0, 0)
        assert 0 <= top <= bottom <= 224 and 0 <= left <= right <= 160
        assert one.share == pytest.approx(1 - (bottom - top) * (right - left) / (224 * 160))
    assert any(one.box and one.box[0] == 0 for one in pasted)


def test_nothing_is_mixed_where_the_recipe_says_so() -> None:
    images, targets = batch(4)
    for recipe in (MixRecipe(), MixRecipe(mixup=0.8, probability=0.0)):
        assert not recipe.active
        for key in range(5):
            mixed, shares = mixing.mix(images, targets, recipe, key)
            assert torch.equal(mixed, images) and torch.equal(shares, targets)
