"""Colours of training pairs change as torchvision changes those of Pillow images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional

from tasks.tracking.augmentation import disturb
from tasks.tracking.recipe import AugmentationRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE = {"grey": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0}


def crops() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return smooth, rng.integers(0, 256, (24, 16, 3), dtype=np.uint8)


def disturbed(seed: int, **changes: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    settings = AugmentationRecipe.model_validate(NONE | changes)
    return disturb(*crops(), settings, np.random.default_rng(seed))


def test_the_published_reaches_are_the_default() -> None:
    assert AugmentationRecipe.model_validate({}).model_dump() == {
        "grey": 0.05,
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
    }


def test_without_reach_every_pixel_stays() -> None:
    for ours, given in zip(disturbed(1), crops(), strict=True):
        assert (ours == given).all()


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_change_is_torchvisions_and_each_images_own(name: str) -> None:
    adjust = getattr(functional, f"adjust_{name}")
    position = ["brightness", "contrast", "saturation"].index(name)
    rng = np.random.default_rng(7)
    rng.random()
    found = disturbed(7, **{name: 0.4})
    factors = []
    for ours, given in zip(found, crops(), strict=True):
        low, high = np.ones(3), np.ones(3)
        low[position], high[position] = 0.6, 1.4
        factors.append(rng.uniform(low, high)[position])
        rng.permutation(3)
        wanted = adjust(Image.fromarray(given), factors[-1])
        assert (ours == np.asarray(wanted)).all() and (ours != given).any()
    assert abs(factors[0] - factors[1]) > 1e-3


def test_the_three_go_in_the_order_that_is_drawn() -> None:
    rng = np.random.default_rng(3)
    rng.random()
    orders = []
    steps = [functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation]
    reaches = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}
    for ours, given in zip(disturbed(3, **reaches), crops(), strict=True):
        factors, order = rng.uniform(0.6, 1.4, 3), rng.permutation(3)
        image: Any = Image.fromarray(given)
        for number in order:
            image = steps[number](image, factors[number])
        assert (ours == np.asarray(image)).all()
        orders.append(order.tolist())
    assert orders[0] != orders[1]


def test_both_lose_their_colours_or_none_as_often_as_stated() -> None:
    count, share = 3000, 0.05
    grey = []
    for seed in range(count):
        both = [bool((np.ptp(found, axis=2) == 0).all()) for found in disturbed(seed, grey=share)]
        assert both[0] == both[1]
        grey.append(both[0])
    assert abs(np.mean(grey) - share) < 4 * np.sqrt(share * (1 - share) / count)
    for ours, given in zip(disturbed(0, grey=1.0), crops(), strict=True):
        wanted = functional.to_grayscale(Image.fromarray(given), num_output_channels=3)
        assert (ours == np.asarray(wanted)).all()


def test_factors_do_not_fall_below_none() -> None:
    # A negative factor would turn light and dark round.
    given = crops()[1].ravel()
    for seed in range(40):
        assert np.corrcoef(disturbed(seed, contrast=3.0)[1].ravel(), given)[0, 1] > 0
