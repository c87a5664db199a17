"""Random erasing: rectangles as timm draws them, noise that depends on the sample's key alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from timm.data.random_erasing import RandomErasing

from tasks.classification.augmentation import erasing
from tasks.classification.augmentation.settings import ErasingRecipe

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Shared:
    """Python's generator, which timm draws from, asked as numpy's is."""

    def __init__(self, seed: int) -> None:
        self._state = random.Random(seed)
        self.random, self.uniform = self._state.random, self._state.uniform

    def integers(self, low: int, high: int | None = None) -> int:
        least, end = (0, low) if high is None else (low, high)
        # timm does not draw a number that can only be one.
        return least if high == 2 else self._state.randint(least, end - 1)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("size", [(224, 224), (64, 192)])
def test_rectangles_are_timms(
    size: tuple[int, int], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = ErasingRecipe(probability=0.5, count=count)
    erased = 0
    for seed in range(40):
        shared: Any = Shared(seed)
        ours = np.zeros(size, bool)
        for top, left, height, width in erasing.draw(size, recipe, shared):
            ours[top : top + height, left : left + width] = True
        monkeypatch.setattr("timm.data.random_erasing.random", random.Random(seed))
        image = RandomErasing(0.5, mode="const", max_count=count, device="cpu")(
            torch.ones(1, *size)
        )
        assert np.array_equal(ours, image[0].numpy() == 0)
        erased += ours.any()
    assert 10 < erased < 30


def test_without_a_recipe_nothing_is_drawn() -> None:
    rng = np.random.default_rng(0)
    assert erasing.draw((8, 8), None, rng).shape == (0, 4)
    assert rng.random() == np.random.default_rng(0).random()


def test_what_fits_nowhere_is_left_out() -> None:
    recipe = ErasingRecipe(probability=1.0, area=(1.0, 1.0), ratio=(1.0, 1.0))
    for seed in range(5):
        assert not erasing.draw((8, 8), recipe, np.random.default_rng(seed)).any()


def filled(keys: list[int], erase: list[list[list[int]]], size: int = 64) -> torch.Tensor:
    images = torch.full((len(keys), 3, size, size), 0.25)
    found = erasing.fill(images, torch.tensor(erase), torch.tensor(keys), MEAN, STD)
    assert (images == 0.25).all()
    return found


def test_noise_is_normal_in_the_normalised_image_and_fills_the_rectangle_alone() -> None:
    images = filled([5, 6], [[[2, 4, 50, 40], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 2])
    inside = images[0, :, 2:52, 4:44]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    noise = ((inside - mean) / std).flatten(1)
    # 2,000 values a channel, four standard errors.
    assert (noise.mean(1).abs() < 4 / 2000**0.5).all()
    assert ((noise.std(1) - 1).abs() < 4 / 4000**0.5).all()
    assert inside.min() < 0 and inside.max() > 1
    assert abs(float(torch.corrcoef(noise)[0, 1])) < 4 / 2000**0.5
    images[0, :, 2:52, 4:44] = 0.25
    assert (images == 0.25).all()


def test_noise_depends_on_the_key_alone() -> None:
    box = [[3, 5, 20, 30]]
    torch.manual_seed(0)
    three = filled([7, 2**62 + 1, 9], [box, box, box])
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = filled([2**62 + 1], [box])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one[0], three[1])
    assert not torch.equal(three[0], three[1])
    assert torch.equal(filled([7, 9], [box, box]), three[[0, 2]])


def test_images_without_rectangles_are_left_as_they_are() -> None:
    images = torch.rand(2, 3, 8, 8)
    keys = torch.tensor([1, 2])
    for erase in (torch.zeros(2, 0, 4, dtype=torch.int64), torch.zeros(2, 2, 4, dtype=torch.int64)):
        assert erasing.fill(images, erase, keys, MEAN, STD) is images
