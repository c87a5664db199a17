"""Colours and grids of training crops: functions of the generator, with the recipe's ranges."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.pose.appearance import disturb
from tasks.pose.recipe import AugmentationRecipe, GridDropoutRecipe
from tests.tasks.pose.folders import recipe

PUBLISHED = recipe("paper-swinv2").augmentation
NONE = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def crop(height: int = 64, width: int = 48) -> NDArray[np.uint8]:
    return rng(0).integers(1, 255, (height, width, 3)).astype(np.uint8)


def with_jitter(**reach: float) -> AugmentationRecipe:
    return AugmentationRecipe.model_validate({"jitter": NONE | reach})


def with_grid(**changes: Any) -> AugmentationRecipe:
    grid = {"probability": 1.0, "unit": [10, 40], "ratio": 0.5} | changes
    return AugmentationRecipe.model_validate({"grid_dropout": grid})


def holes(settings: AugmentationRecipe, seed: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (disturb(crop(*shape), settings, rng(seed)) == 0).all(-1)
    return found


def test_without_settings_nothing_is_drawn_and_nothing_changes() -> None:
    generator = rng(1)
    assert (disturb(crop(), recipe("paper").augmentation, generator) == crop()).all()
    assert generator.random() == rng(1).random()


def test_the_generator_decides_everything() -> None:
    first, again, other = (disturb(crop(), PUBLISHED, rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert first.dtype == np.uint8 and first.shape == crop().shape


def test_no_reach_changes_no_pixel_but_by_the_way_over_hue() -> None:
    changed = disturb(crop(), with_jitter(), rng(1)).astype(int)
    # Hues are bytes, so that there and back is not exact.
    assert np.abs(changed - crop()).max() <= 8


@pytest.mark.parametrize("reach", [0.4, 0.1])
def test_brightness_reaches_as_far_as_the_recipe_says_both_ways(reach: float) -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    factors = [
        disturb(grey, with_jitter(brightness=reach), rng(seed)).mean() / 100 for seed in range(400)
    ]
    assert min(factors) == pytest.approx(1 - reach, abs=0.02)
    assert max(factors) == pytest.approx(1 + reach, abs=0.02)
    assert np.mean(factors) == pytest.approx(1.0, abs=0.1 * reach)


def test_hue_turns_by_as_much_as_the_recipe_says() -> None:
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    seen = [disturb(red, with_jitter(hue=0.2), rng(seed))[0, 0].astype(int) for seed in range(300)]
    # A fifth of a turn from red, 72 degrees, is 12 past yellow and 12 past magenta.
    assert all(max(pixel) == 255 for pixel in seen)
    assert min(pixel[0] for pixel in seen) == pytest.approx(255 * (1 - 12 / 60), abs=12)
    assert max(pixel[1] for pixel in seen) == 255 and max(pixel[2] for pixel in seen) == 255


def test_the_grid_comes_as_often_as_the_recipe_says() -> None:
    settings = with_grid(probability=0.5)
    share = np.mean([holes(settings, seed, (32, 32)).any() for seed in range(800)])
    # Four standard deviations of 800 throws.
    assert share == pytest.approx(0.5, abs=0.071)
    assert not any(holes(with_grid(probability=0.0), seed, (32, 32)).any() for seed in range(20))


def test_squares_of_a_grid_whose_cells_are_in_range() -> None:
    sides = set()
    for seed in range(300):
        black = holes(with_grid(), seed, (128, 96))
        rows, columns = black.any(1), black.any(0)
        assert (black == rows[:, None] & columns).all(), "squares, all rows alike"
        starts = np.flatnonzero(np.diff(rows.astype(int)) == 1) + 1
        units = set(np.diff(starts).tolist())
        assert len(units) == 1, "one grid"
        (unit,) = units
        lengths = [int(rows[start : start + unit].sum()) for start in starts[:-1]]
        assert set(lengths) == {unit // 2}
        sides.add(unit)
    assert min(sides) == 10 and max(sides) == 40


def test_cells_are_no_larger_than_the_crop() -> None:
    black = holes(with_grid(unit=[300, 400]), 1, (32, 32))
    assert black.any() and not black.all()


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="least and the largest"):
        GridDropoutRecipe(probability=0.5, unit=(40, 10), ratio=0.5)


def test_as_published() -> None:
    """PCT's configuration: ColorJitter of every crop, GridDropout of half of them."""
    assert PUBLISHED.jitter is not None and PUBLISHED.grid_dropout is not None
    assert tuple(PUBLISHED.jitter.model_dump().values()) == (0.4, 0.4, 0.4, 0.2)
    assert PUBLISHED.grid_dropout.probability == 0.5
    assert PUBLISHED.grid_dropout.unit == (10, 40)
