"""An image and its objects on the canvas."""

from __future__ import annotations

import numpy as np

from tasks.detection.annotations import Bools, Floats
from tasks.detection.augmentation import draw, patches, pixels
from tasks.detection.augmentation.geometry import Geometry
from tasks.detection.augmentation.view import Placed, Size, View
from tasks.detection.recipe import AugmentationRecipe, EvaluationRecipe

_THIN = 1e-5
"""Sides in canvas pixels that are rounding of none; detectron2's bound too."""


def augment(
    view: View, recipe: AugmentationRecipe, canvas: Size, rng: np.random.Generator
) -> Placed:
    """See an image as training does.

    Boxes are clipped to what is seen, and objects whose boxes have no area there or less than
    `min_area` are left out, as mmdet's `RandomCrop` does it. `jitter` follows detectron2's
    `recompute_boxes`: an object that the window cuts has the box of what is left of its mask, and
    one that has no pixel of its mask is left out. A view without objects is kept, as both do with
    the published settings.

    Args:
        recipe: one that `check` has passed.
        canvas: height and width.
        rng: all randomness comes from it.

    Raises:
        DataError: a mask of another size than the image.
    """
    geometry = draw.training(_size(view), recipe, canvas, rng)
    return _place(view, geometry, canvas, recipe)


def place(view: View, recipe: EvaluationRecipe, canvas: Size) -> Placed:
    """See an image as evaluation does; boxes without area in the image are left out.

    Args, Raises: as `augment`.
    """
    return _place(view, draw.evaluation(_size(view), recipe, canvas), canvas, recipe)


def _size(view: View) -> Size:
    return view.image.shape[0], view.image.shape[1]


def _place(
    view: View,
    geometry: Geometry,
    canvas: Size,
    recipe: AugmentationRecipe | EvaluationRecipe,
) -> Placed:
    moved = geometry.boxes(view.boxes)
    boxes = _clipped(moved, geometry.extent)
    rows = np.flatnonzero(_visible(boxes))
    boxes, shapes = boxes[rows], None
    if view.masks is not None:
        shapes = patches.draw([view.masks[row] for row in rows.tolist()], geometry)
    left = np.ones(len(rows), np.bool_)
    if isinstance(recipe, AugmentationRecipe):
        if recipe.mode == "jitter" and shapes is not None:
            cut: Bools = np.any(np.abs(moved[rows] - boxes) > _THIN, axis=1)
            boxes, left = _recomputed(boxes, cut, shapes)
        left &= _areas(boxes) >= recipe.min_area
    if shapes is not None:
        shapes = [shape for shape, stays in zip(shapes, left, strict=True) if stays]
    return Placed(
        pixels.render(view.image, geometry, canvas, recipe.resampler),
        geometry.extent,
        geometry.scale,
        boxes[left],
        None if shapes is None else patches.stack(shapes, canvas),
        view.labels[rows[left]],
        view.crowd[rows[left]],
    )


def _recomputed(boxes: Floats, cut: Bools, shapes: list[patches.Patch]) -> tuple[Floats, Bools]:
    """The boxes (n, 4) with those of objects that are `cut` (n,) replaced by what is left of their
    masks, and which objects have a pixel of their mask.

    The others keep the annotated box: in whole pixels that of the mask would be coarser than
    detectron2's, which is of a polygon.
    """
    found = [shape.box for shape in shapes]
    left = np.array([box is not None for box in found], np.bool_)
    boxes = boxes.copy()
    for row, box in enumerate(found):
        if cut[row] and box is not None:
            boxes[row] = box
    return boxes, left


def _clipped(boxes: Floats, extent: Size) -> Floats:
    return np.clip(boxes, 0.0, np.array([*extent[::-1], *extent[::-1]], np.float64))


def _visible(boxes: Floats) -> Bools:
    visible: Bools = np.all(boxes[:, 2:] - boxes[:, :2] > _THIN, axis=1)
    return visible


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas
