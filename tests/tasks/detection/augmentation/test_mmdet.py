"""Pixels, boxes and masks are those of mmdet's own transforms on the same random choices."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tasks.detection.augmentation import Placed, View, augment, draw, place
from tasks.detection.augmentation.geometry import Geometry
from tasks.detection.recipe import AugmentationRecipe, EvaluationRecipe
from tasks.openmmlab import load
from tests.tasks.detection.augmentation.scenes import decoded, ellipses, scene

SIZES = [(96, 128), (131, 77), (60, 60), (50, 173)]
SEEDS = range(6)


@pytest.fixture(scope="module")
def transforms() -> ModuleType:
    return load("mmdet.datasets.transforms.transforms")


def made(size: tuple[int, int], seed: int) -> View:
    rng = np.random.default_rng(seed)
    return scene(rng, size, ellipses(rng, size, 5))


def results(view: View) -> dict[str, Any]:
    """What mmdet's transforms take."""
    boxes = load("mmdet.structures.bbox").HorizontalBoxes(view.boxes.astype(np.float32))
    masks = [decoded(mask) for mask in view.masks or ()]
    size = view.image.shape[:2]
    return {
        "img": view.image.copy(),
        "img_shape": size,
        "gt_bboxes": boxes,
        "gt_masks": load("mmdet.structures.mask").BitmapMasks(masks, *size),
        "gt_bboxes_labels": view.labels,
        "gt_ignore_flags": view.crowd,
    }


def cut(transforms: ModuleType, geometry: Geometry, **settings: Any) -> Any:
    """mmdet's crop, given the window that was drawn."""
    top, left, height, width = geometry.window
    crop = transforms.RandomCrop((1, 1), allow_negative_crop=True, **settings)
    crop._get_crop_size = lambda size: (height, width)
    crop._rand_offset = lambda margin: (top, left)
    return crop


def jittered(
    transforms: ModuleType, view: View, geometry: Geometry, recompute: bool
) -> dict[str, Any]:
    theirs = flip(transforms, geometry)(results(view))
    theirs = transforms.Resize(geometry.scaled[::-1], keep_ratio=False)(theirs)
    found: dict[str, Any] = cut(transforms, geometry, recompute_bbox=recompute)(theirs)
    return found


def flip(transforms: ModuleType, geometry: Geometry) -> Any:
    return transforms.RandomFlip(prob=0.0 if geometry.mirror == "never" else 1.0)


def assert_equal(placed: Placed, theirs: dict[str, Any]) -> None:
    height, width = theirs["img"].shape[:2]
    assert placed.extent == (height, width)
    np.testing.assert_array_equal(placed.image[:height, :width], theirs["img"])
    assert not placed.image[height:].any() and not placed.image[:, width:].any()
    # float32 there.
    np.testing.assert_allclose(placed.boxes, theirs["gt_bboxes"].numpy(), atol=1e-4)
    np.testing.assert_array_equal(placed.labels, theirs["gt_bboxes_labels"])
    np.testing.assert_array_equal(placed.crowd, theirs["gt_ignore_flags"])
    assert placed.masks is not None
    np.testing.assert_array_equal(placed.masks[:, :height, :width], theirs["gt_masks"].masks)
    assert not placed.masks[:, height:].any() and not placed.masks[:, :, width:].any()


@pytest.mark.parametrize("size", SIZES)
def test_resize_and_flip_equal_mmdet(transforms: ModuleType, size: tuple[int, int]) -> None:
    recipe = AugmentationRecipe(mode="resize", short_sides=(97,), max_long_side=160)
    for seed in SEEDS:
        view = made(size, seed)
        geometry = draw.training(size, recipe, (160, 160), np.random.default_rng(seed))
        theirs = transforms.Resize((160, 97), keep_ratio=True)(results(view))
        theirs = flip(transforms, geometry)(theirs)
        placed = augment(view, recipe, (160, 160), np.random.default_rng(seed))
        assert_equal(placed, theirs)


@pytest.mark.parametrize("size", SIZES)
def test_swins_crop_equals_mmdet(transforms: ModuleType, size: tuple[int, int]) -> None:
    recipe = AugmentationRecipe(
        mode="resize_crop",
        short_sides=(97,),
        max_long_side=160,
        first_short_sides=(70,),
        crop_range=(30, 75),
    )
    cropped = 0
    for seed in SEEDS:
        view = made(size, seed)
        geometry = draw.training(size, recipe, (160, 160), np.random.default_rng(seed))
        theirs = flip(transforms, geometry)(results(view))
        if geometry.scaled != size:
            cropped += 1
            theirs = transforms.Resize((160, 70), keep_ratio=True)(theirs)
            theirs = cut(transforms, geometry)(theirs)
        theirs = transforms.Resize((160, 97), keep_ratio=True)(theirs)
        placed = augment(view, recipe, (160, 160), np.random.default_rng(seed))
        assert_equal(placed, theirs)
    assert 0 < cropped < len(SEEDS)


@pytest.mark.parametrize("size", SIZES)
def test_jitter_equals_mmdet(transforms: ModuleType, size: tuple[int, int]) -> None:
    """Boxes are clipped ones for objects that are whole, and those of the masks for others."""
    recipe = AugmentationRecipe(mode="jitter", jitter_range=(0.5, 2.0))
    canvas, whole, cropped = (120, 120), 0, 0
    for seed in SEEDS:
        view = made(size, seed)
        geometry = draw.training(size, recipe, canvas, np.random.default_rng(seed))
        clipped, recomputed = (
            jittered(transforms, view, geometry, recompute) for recompute in (False, True)
        )
        visible = recomputed["gt_masks"].masks.any(axis=(1, 2))
        for name in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_masks"):
            clipped[name], recomputed[name] = clipped[name][visible], recomputed[name][visible]
        # Of an object that is cut, the clipped box touches a border of the window.
        right, bottom = geometry.extent[1], geometry.extent[0]
        boxes = clipped["gt_bboxes"].tensor
        touches = (boxes[:, :2] == 0).any(1) | (boxes[:, 2] == right) | (boxes[:, 3] == bottom)
        clipped["gt_bboxes"].tensor[touches] = recomputed["gt_bboxes"].tensor[touches]
        assert_equal(augment(view, recipe, canvas, np.random.default_rng(seed)), clipped)
        cropped += int(touches.sum())
        whole += int((~touches).sum())
    assert cropped and whole


@pytest.mark.parametrize("size", SIZES)
def test_evaluation_equals_mmdet(transforms: ModuleType, size: tuple[int, int]) -> None:
    view = made(size, 0)
    theirs = transforms.Resize((160, 97), keep_ratio=True)(results(view))
    recipe = EvaluationRecipe(short_side=97, max_long_side=160)
    placed = place(view, recipe, (160, 160))
    assert_equal(placed, theirs)
    np.testing.assert_allclose(placed.scale, theirs["scale_factor"])
