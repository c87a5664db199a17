"""RandAugment against timm's own: every operation pixel by pixel, the draws in distribution."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from timm.data import auto_augment

from tasks.classification.augmentation import randaugment
from tasks.classification.augmentation.settings import RandAugmentRecipe
from tests.tasks.classification.augmentation.pictures import photograph

FILL = (124, 116, 104)
TIMM = {
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
    "invert": "Invert",
    "rotate": "Rotate",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "solarize_add": "SolarizeAdd",
    "colour": "Color",
    "contrast": "Contrast",
    "brightness": "Brightness",
    "sharpness": "Sharpness",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateXRel",
    "translate_y": "TranslateYRel",
}
GROWING = {"posterize", "solarize", "colour", "contrast", "brightness", "sharpness"}
MAGNITUDES = (0.0, 0.3, 4.7, 8.61, 9.0, 9.99, 10.0)
FLAT = np.full((30, 20, 3), 200, np.uint8)
TWO = np.where(np.arange(20)[None, :, None] < 3, np.uint8(7), FLAT)


def recipe(increasing: bool = True, **changes: float) -> RandAugmentRecipe:
    given = {"magnitude": 9.0, "std": 0.5, "increasing": increasing} | changes
    return RandAugmentRecipe.model_validate(given)


def theirs(
    image: NDArray[np.uint8],
    step: randaugment.Step,
    increasing: bool,
    interpolation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> NDArray[np.uint8]:
    name = TIMM[step.operation]
    if increasing and step.operation in GROWING:
        name += "Increasing"
    given = {"img_mean": FILL, "interpolation": Image.Resampling[interpolation.upper()]}
    operation = auto_augment.AugmentOp(name, 1.0, step.magnitude, given)
    # timm negates where a number in [0,1) is above a half.
    monkeypatch.setattr(random, "random", lambda: 0.9 if step.negative else 0.1)
    return np.asarray(operation(Image.fromarray(image)))


@pytest.mark.parametrize("increasing", [True, False])
@pytest.mark.parametrize("operation", randaugment.OPERATIONS)
def test_pixels_are_timms(
    operation: str, increasing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [photograph(61, 53), photograph(224, 224, 1), FLAT, TWO, photograph(1, 1)]
    asked = recipe(increasing)
    for number, magnitude in enumerate(MAGNITUDES):
        bits = int(magnitude / 10 * 4)
        black = operation == "posterize" and (4 - bits if increasing else bits) == 0
        for negative in (False, True):
            step = randaugment.Step(operation, magnitude, negative)
            for image in images if number in (1, 4) else images[:1]:
                before = image.copy()
                ours = randaugment.apply(image, step, asked, "bicubic")
                assert ours.dtype == np.uint8 and np.array_equal(image, before)
                if black:
                    # Pillow's posterize, which timm calls, refuses 0 bits in newer versions; its
                    # mask of none leaves black.
                    assert not ours.any()
                    continue
                expected = theirs(image, step, increasing, "bicubic", monkeypatch)
                assert np.array_equal(ours, expected), (step, image.shape)


@pytest.mark.parametrize(
    "operation", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"]
)
def test_interpolation_is_the_recipes(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, step = photograph(64, 48), randaugment.Step(operation, 6.3, True)
    ours = randaugment.apply(image, step, recipe(), "bilinear")
    assert np.array_equal(ours, theirs(image, step, True, "bilinear", monkeypatch))
    assert not np.array_equal(ours, randaugment.apply(image, step, recipe(), "bicubic"))


def test_the_operations_are_timms() -> None:
    growing = [f"{TIMM[name]}{'Increasing' * (name in GROWING)}" for name in TIMM]
    assert growing == auto_augment.rand_augment_choices("", increasing=True)
    assert list(TIMM.values()) == auto_augment.rand_augment_choices("", increasing=False)
    assert tuple(TIMM) == randaugment.OPERATIONS


def test_draws_are_distributed_as_timms() -> None:
    """`rand-m9-mstd0.5-inc1`: means and frequencies within four standard errors."""
    rng, images = np.random.default_rng(0), 8_000
    drawn = [randaugment.draw(recipe(), rng) for _ in range(images)]
    steps = [step for one in drawn for step in one]
    # Each of two layers with probability a half, apart from one another.
    for number, share in ((0, 0.25), (1, 0.5), (2, 0.25)):
        found = sum(len(one) == number for one in drawn)
        assert abs(found - share * images) < 4 * np.sqrt(images * share * (1 - share))
    counts = Counter(step.operation for step in steps)
    share = len(steps) / 15
    assert all(abs(counts[name] - share) < 4 * np.sqrt(share) for name in randaugment.OPERATIONS)
    assert any(one[0].operation == one[1].operation for one in drawn if len(one) == 2)
    magnitudes = np.array([step.magnitude for step in steps])
    # Of a normal distribution around 9, 2.3 % are above 10 and stand at it.
    assert abs((magnitudes == 10).mean() - 0.0228) < 4 * np.sqrt(0.0228 / len(steps))
    below = magnitudes[magnitudes < 9]
    assert abs(len(below) / len(steps) - 0.5) < 2 / np.sqrt(len(steps))
    assert abs((9 - below).mean() - 0.5 * np.sqrt(2 / np.pi)) < 4 * 0.31 / np.sqrt(len(below))
    assert abs(np.mean([step.negative for step in steps]) - 0.5) < 2 / np.sqrt(len(steps))


def test_without_a_deviation_every_magnitude_is_the_recipes() -> None:
    rng = np.random.default_rng(0)
    asked = recipe(std=0.0, num_layers=3, probability=1.0)
    for _ in range(20):
        steps = randaugment.draw(asked, rng)
        assert len(steps) == 3 and {step.magnitude for step in steps} == {9.0}
