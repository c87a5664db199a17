"""What is drawn: sizes, windows and how often."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tasks.contract import RecipeError
from tasks.detection.augmentation import augment, check, draw, place, sizes
from tasks.detection.recipe import AugmentationRecipe, EvaluationRecipe
from tests.tasks.detection.augmentation.scenes import ellipses, scene

SWIN = AugmentationRecipe(mode="resize_crop", short_sides=tuple(range(480, 801, 32)))
JITTER = AugmentationRecipe(mode="jitter")
COCO = [(480, 640), (640, 427), (333, 500), (640, 640), (51, 640), (2000, 1500)]


def draws(
    recipe: AugmentationRecipe, size: tuple[int, int], canvas: tuple[int, int], count: int = 400
) -> list[draw.Geometry]:
    rng = np.random.default_rng(0)
    return [draw.training(size, recipe, canvas, rng) for _ in range(count)]


def detectron2_fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """`ResizeShortestEdge` with both bounds the same, in its own steps."""
    height, width = size
    scale = side / min(size)
    new = [side, scale * width] if height < width else [scale * height, side]
    if max(new) > side:
        shrink = side / max(new)
        new = [value * shrink for value in new]
    return int(new[0] + 0.5), int(new[1] + 0.5)


def test_published_sizes() -> None:
    assert sizes.bounded((480, 640), 800, 1333) == (800, 1067)
    assert sizes.bounded((333, 500), 800, 1333) == (800, 1201)
    assert sizes.bounded((240, 640), 800, 1333) == (500, 1333)
    assert sizes.bounded((1, 5000), 800, 1333) == (1, 1333)
    for size in COCO:
        assert sizes.fitted(size, (1024, 1024)) == detectron2_fit(size, 1024)


def test_swins_draws() -> None:
    for size in COCO:
        found = draws(SWIN, size, (1344, 1344))
        cropped = [made for made in found if made.scaled != size]
        assert 0.4 < len(cropped) / len(found) < 0.6
        assert 0.4 < np.mean([made.mirror == "first" for made in found]) < 0.6
        for made in cropped:
            top, left, height, width = made.window
            assert made.scaled in [sizes.bounded(size, side, 1333) for side in (400, 500, 600)]
            assert top + height <= made.scaled[0] and left + width <= made.scaled[1]
            for cut, side in zip((height, width), made.scaled, strict=True):
                assert min(384, side) <= cut <= min(600, side)
        for made in found:
            window = made.window.height, made.window.width
            allowed = [sizes.bounded(window, side, 1333) for side in SWIN.short_sides]
            assert made.extent in allowed and max(made.extent) <= 1333
        assert len({made.extent for made in found if made.scaled == size}) > 1 or size == COCO[4]


def test_jitter_is_detectron2s() -> None:
    """Scale uniform, sizes rounded, and one number for the place along both axes."""
    size, canvas = (480, 640), (1024, 1024)
    found = draws(JITTER, size, canvas, 2000)
    scales = np.array([made.scaled[1] / 1024 for made in found])
    assert abs(scales.mean() - 1.05) < 0.05 and scales.min() < 0.15 and scales.max() > 1.95
    for made in found:
        scale = made.scaled[1] / 1024
        assert abs(made.scaled[0] - 0.75 * 1024 * scale) <= 1
        assert made.extent == (min(made.scaled[0], 1024), min(made.scaled[1], 1024))
        assert (made.window.height, made.window.width) == made.extent
    both = [made for made in found if made.scaled[0] > 1200]
    places = np.array(
        [
            (
                made.window.top / (made.scaled[0] - 1024),
                made.window.left / (made.scaled[1] - 1024),
            )
            for made in both
        ]
    )
    np.testing.assert_allclose(places[:, 0], places[:, 1], atol=0.01)
    assert places.min() < 0.05 and places.max() > 0.95


def test_every_short_side_comes_up() -> None:
    recipe = AugmentationRecipe(mode="resize", short_sides=(50, 60, 70), max_long_side=100)
    found = draws(recipe, (80, 100), (100, 100))
    assert {made.extent[0] for made in found} == {50, 60, 70}
    assert {made.mirror for made in found} == {"never", "last"}


def test_pillow_is_the_other_resampler() -> None:
    rng = np.random.default_rng(0)
    view = scene(rng, (90, 120), ellipses(rng, (90, 120), 2))
    recipe = AugmentationRecipe(mode="fit", flip=0.0, resampler="pillow")
    expected = Image.fromarray(view.image).resize((60, 45), Image.Resampling.BILINEAR)
    placed = augment(view, recipe, (60, 60), rng)
    np.testing.assert_array_equal(placed.image[:45], np.asarray(expected))
    placed = place(view, EvaluationRecipe(resampler="pillow"), (60, 60))
    np.testing.assert_array_equal(placed.image[:45], np.asarray(expected))


def test_images_larger_than_the_canvas_are_refused_beforehand() -> None:
    with pytest.raises(RecipeError, match="max_long_side` is 1333, but the canvas is 1344x800"):
        check(SWIN, (1344, 800))
    with pytest.raises(RecipeError, match="input_size` must be at least 1333 both ways"):
        check(EvaluationRecipe(short_side=800, max_long_side=1333), (800, 1344))
    with pytest.raises(RecipeError, match="one of `short_side` and `max_long_side`: give both"):
        check(EvaluationRecipe(short_side=800), (1344, 1344))
    check(SWIN, (1344, 1344))
    check(JITTER, (64, 64))
    check(EvaluationRecipe(), (64, 64))
