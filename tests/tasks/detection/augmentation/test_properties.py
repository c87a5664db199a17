"""Image, boxes, masks, labels and flags stay together, whatever is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco

from tasks.contract import DataError
from tasks.detection.augmentation import Placed, View, augment, draw, place
from tasks.detection.augmentation.geometry import Geometry
from tasks.detection.recipe import AugmentationRecipe, EvaluationRecipe
from tests.tasks.detection.augmentation.scenes import (
    Shapes,
    centres,
    ellipses,
    rectangles,
    scene,
)

CANVAS = (208, 176)
RECIPES = {
    "fit": AugmentationRecipe(mode="fit"),
    "resize": AugmentationRecipe(mode="resize", short_sides=(60, 97, 130), max_long_side=170),
    "resize_crop": AugmentationRecipe(
        mode="resize_crop",
        short_sides=(97, 130),
        max_long_side=170,
        first_short_sides=(70, 90),
        crop_range=(40, 75),
    ),
    "jitter": AugmentationRecipe(mode="jitter", jitter_range=(0.3, 2.0)),
}
SIZES = [(90, 120), (131, 77)]
SEEDS = range(5)


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> AugmentationRecipe:
    return RECIPES[request.param]


def seen(view: View, recipe: AugmentationRecipe, seed: int) -> tuple[Placed, Geometry]:
    """What training sees, and what was drawn for it."""
    size = view.image.shape[0], view.image.shape[1]
    geometry = draw.training(size, recipe, CANVAS, np.random.default_rng(seed))
    return augment(view, recipe, CANVAS, np.random.default_rng(seed)), geometry


def rows(placed: Placed, view: View) -> list[int]:
    """Which objects of the view are left; each has a label of its own."""
    return [int(np.flatnonzero(view.labels == label)[0]) for label in placed.labels]


def image_points(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Where in the image the centres of the canvas's pixels within the extent lie, step by step
    from the end."""
    x, y = centres(geometry.extent)
    if geometry.mirror == "last":
        x = geometry.extent[1] - x
    top, left, height, width = geometry.window
    x, y = x * width / geometry.extent[1] + left, y * height / geometry.extent[0] + top
    x, y = x * geometry.size[1] / geometry.scaled[1], y * geometry.size[0] / geometry.scaled[0]
    return (geometry.size[1] - x if geometry.mirror == "first" else x), y


def reach(geometry: Geometry) -> float:
    """By how many image pixels the pixel that a mask takes lies off, at most: half of one of the
    source's and half of one of the target's at each step."""
    first = min(a / b for a, b in zip(geometry.scaled, geometry.size, strict=True))
    window = geometry.window.height, geometry.window.width
    second = min(a / b for a, b in zip(geometry.extent, window, strict=True))
    return 0.5 + 0.5 / first + (0.5 + 0.5 / second) / first


def certain(shapes: Shapes, x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """(n, h, w) whether a neighbourhood of each point is on one side of the border."""
    steps = np.linspace(-radius, radius, 5)
    near = [
        [shape.covers(x + across, y + down) for across in steps for down in steps]
        for shape in shapes
    ]
    return np.array([np.all(covers, axis=0) | ~np.any(covers, axis=0) for covers in near])


@pytest.mark.parametrize("size", SIZES)
def test_a_mask_is_the_moved_shape(recipe: AugmentationRecipe, size: tuple[int, int]) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shapes = ellipses(rng, size, 6)
        view = scene(rng, size, shapes)
        placed, geometry = seen(view, recipe, seed)
        left = [shapes[row] for row in rows(placed, view)]
        x, y = image_points(geometry)
        truth = np.array([shape.covers(x, y) for shape in left])
        sure = certain(left, x, y, reach(geometry))
        height, width = geometry.extent
        assert placed.masks is not None
        drawn = placed.masks[:, :height, :width]
        assert sure.mean() > 0.6
        np.testing.assert_array_equal(drawn[sure], truth[sure])


@pytest.mark.parametrize("size", SIZES)
def test_a_mask_covers_its_object_in_the_image(
    recipe: AugmentationRecipe, size: tuple[int, int]
) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shapes = ellipses(rng, size, 1)
        painted = shapes[0].covers(*centres(size))[:, :, None] * np.array([250, 200, 150])
        view = replace(scene(rng, size, shapes), image=painted.astype(np.uint8))
        placed, geometry = seen(view, recipe, seed)
        if len(placed.boxes):
            assert placed.masks is not None
            height, width = geometry.extent
            sure = certain(shapes, *image_points(geometry), 1 + reach(geometry))[0]
            shown = placed.image[:height, :width] > (125, 100, 75)
            drawn = placed.masks[0, :height, :width]
            np.testing.assert_array_equal(shown[sure], np.repeat(drawn[sure][:, None], 3, axis=1))


@pytest.mark.parametrize("size", SIZES)
def test_a_box_is_that_of_its_mask(recipe: AugmentationRecipe, size: tuple[int, int]) -> None:
    """Within a pixel of the canvas at each step; exact borders in the image."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        view = scene(rng, size, rectangles(rng, size, 8))
        placed, geometry = seen(view, recipe, seed)
        assert placed.masks is not None and len(placed.boxes)
        second = 0.0
        if geometry.scaled != geometry.size and geometry.extent != geometry.window[2:]:
            second = max(geometry.extent[k] / geometry.window[k + 2] for k in (0, 1))
        for box, mask in zip(placed.boxes, placed.masks, strict=True):
            down, across = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(down):
                around = [across[0], down[0], across[-1] + 1, down[-1] + 1]
                assert np.abs(box - around).max() <= 1 + second + 1e-9
            else:
                # Thinner than the pixels that are shown.
                assert min(box[2] - box[0], box[3] - box[1]) < 1 + second


def test_labels_flags_and_boxes_stay_with_their_objects(recipe: AugmentationRecipe) -> None:
    lost = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        view = scene(rng, (90, 120), ellipses(rng, (90, 120), 9))
        placed, geometry = seen(view, recipe, seed)
        np.testing.assert_array_equal(placed.crowd, placed.labels % 3 == 0)
        assert len(set(placed.labels.tolist())) == len(placed.labels)
        lost += 9 - len(placed.labels)
        boxes = geometry.boxes(view.boxes)[rows(placed, view)]
        inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= geometry.extent[::-1]).all(1)
        np.testing.assert_allclose(placed.boxes[inside], boxes[inside])
    assert bool(lost) == (recipe.mode in ("resize_crop", "jitter"))


def test_nothing_is_outside_the_extent(recipe: AugmentationRecipe) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        view = scene(rng, (90, 120), rectangles(rng, (90, 120), 9))
        view = replace(view, image=np.maximum(view.image, 1))
        placed, geometry = seen(view, recipe, seed)
        height, width = placed.extent
        assert placed.extent == geometry.extent
        assert height <= CANVAS[0] and width <= CANVAS[1]
        assert placed.image.shape == (*CANVAS, 3) and placed.image.dtype == np.uint8
        assert placed.image[:height, :width].all()
        assert not placed.image[height:].any() and not placed.image[:, width:].any()
        assert placed.masks is not None and placed.masks.shape == (len(placed.boxes), *CANVAS)
        assert not placed.masks[:, height:].any() and not placed.masks[:, :, width:].any()
        assert (placed.boxes >= 0).all() and (placed.boxes[:, 2:] <= (width, height)).all()
        assert (placed.boxes[:, 2:] > placed.boxes[:, :2]).all()
        assert placed.image.transpose(2, 0, 1).flags.c_contiguous


def test_mirrored_twice_is_the_image() -> None:
    rng = np.random.default_rng(0)
    view = scene(rng, (90, 120), ellipses(rng, (90, 120), 5))
    original = place(view, EvaluationRecipe(), (90, 120))
    for mode in ("fit", "resize"):
        recipe = AugmentationRecipe(mode=mode, flip=1.0, short_sides=(90,), max_long_side=120)
        once = again(augment(view, recipe, (120, 120), rng), (90, 120))
        assert (once.image != view.image).any()
        twice = augment(once, recipe, (120, 120), rng)
        np.testing.assert_array_equal(twice.image[:90, :120], view.image)
        np.testing.assert_allclose(twice.boxes, view.boxes)
        assert twice.masks is not None and original.masks is not None
        np.testing.assert_array_equal(twice.masks[:, :90, :120], original.masks)
        np.testing.assert_array_equal(twice.labels, view.labels)


def again(placed: Placed, size: tuple[int, int]) -> View:
    """What is on the canvas, as an image with objects."""
    assert placed.masks is not None
    cut = placed.masks[:, : size[0], : size[1]]
    masks = tuple(coco.encode(np.asfortranarray(mask)) for mask in cut)
    image = np.ascontiguousarray(placed.image[: size[0], : size[1]])
    return View(image, placed.boxes, masks, placed.labels, placed.crowd)


def test_all_randomness_is_the_generators(recipe: AugmentationRecipe) -> None:
    rng = np.random.default_rng(0)
    view = scene(rng, (90, 120), ellipses(rng, (90, 120), 5))
    placed = [seen(view, recipe, seed)[0] for seed in (1, 1, *range(2, 8))]
    np.testing.assert_array_equal(placed[0].image, placed[1].image)
    np.testing.assert_array_equal(placed[0].boxes, placed[1].boxes)
    assert any((placed[0].image != other.image).any() for other in placed[2:])


def test_the_view_is_left_as_it_was(recipe: AugmentationRecipe) -> None:
    rng = np.random.default_rng(0)
    view = scene(rng, (90, 120), ellipses(rng, (90, 120), 5))
    image, boxes = view.image.copy(), view.boxes.copy()
    for seed in SEEDS:
        seen(view, recipe, seed)[0].image[:] = 0
    np.testing.assert_array_equal(view.image, image)
    np.testing.assert_array_equal(view.boxes, boxes)


def test_views_without_objects_or_masks(recipe: AugmentationRecipe) -> None:
    rng = np.random.default_rng(0)
    view = scene(rng, (90, 120), [])
    placed, _ = seen(view, recipe, 0)
    assert placed.boxes.shape == (0, 4) and placed.labels.shape == placed.crowd.shape == (0,)
    assert placed.masks is not None and placed.masks.shape == (0, *CANVAS)
    view = scene(rng, (90, 120), ellipses(rng, (90, 120), 5))
    bare, _ = seen(replace(view, masks=None), recipe, 0)
    assert bare.masks is None
    full, _ = seen(view, recipe, 0)
    np.testing.assert_array_equal(bare.image, full.image)


def test_a_view_may_end_without_objects() -> None:
    view = scene(
        np.random.default_rng(0), (90, 120), rectangles(np.random.default_rng(0), (9, 9), 1)
    )
    counts = [len(seen(view, RECIPES["resize_crop"], seed)[0].boxes) for seed in range(30)]
    assert set(counts) == {0, 1}


def test_small_objects_are_left_out_on_demand(recipe: AugmentationRecipe) -> None:
    rng = np.random.default_rng(0)
    view = scene(rng, (90, 120), ellipses(rng, (90, 120), 9))
    everything, _ = seen(view, recipe, 3)
    large, _ = seen(view, recipe.model_copy(update={"min_area": 900.0}), 3)
    sides = everything.boxes[:, 2:] - everything.boxes[:, :2]
    kept = sides.prod(axis=1) >= 900
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(large.boxes, everything.boxes[kept])
    np.testing.assert_array_equal(large.labels, everything.labels[kept])
    assert large.masks is not None and everything.masks is not None
    np.testing.assert_array_equal(large.masks, everything.masks[kept])


def test_a_mask_of_another_size_is_refused() -> None:
    rng = np.random.default_rng(0)
    view = scene(rng, (90, 120), ellipses(rng, (90, 120), 2))
    with pytest.raises(DataError, match="a mask is of 90x120 pixels, but its image of 90x119"):
        place(replace(view, image=view.image[:, 1:]), EvaluationRecipe(), CANVAS)
