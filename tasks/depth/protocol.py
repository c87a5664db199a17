"""Which pixels of a depth map count, and how that is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.contract import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.depth.recipe import Crop, MeasureRecipe

    Map = NDArray[np.float32]
    Mask = NDArray[np.bool_]
    Window = tuple[slice, slice]

BENCHMARK = (352, 1216)
"""Height and width of KITTI's depth benchmark crop."""

_NYU = (480, 640)
_FRACTIONS: dict[Crop, tuple[float, float, float, float]] = {
    "kitti_garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "kitti_eigen": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
}
"""Rows from and to, columns from and to, as shares of height and width (BTS and
MIM-Depth-Estimation, after Garg et al. 2016 and Eigen et al. 2014)."""


def mask(truth: Map, measure: MeasureRecipe) -> Mask:
    """(h,w) the pixels that count: inside the crop, above `min_depth` and below `max_depth`.

    The limits are rounded to float32 and excluded, as in the published evaluators: a truth of
    float32(1e-3) m does not count. Nor do NaN and infinity.

    Args:
        truth: (h,w) metres.
        measure: crop and range.

    Raises:
        DataError: a crop that is not defined for a map of this size.
    """
    inside = window(truth.shape, measure.crop)
    part = np.asarray(truth[inside], np.float32)
    counted = np.zeros(truth.shape, bool)
    low, high = np.float32(measure.min_depth), np.float32(measure.max_depth)
    counted[inside] = (part > low) & (part < high)
    return counted


def window(shape: tuple[int, ...], crop: Crop) -> Window:
    """The rows and columns of a map of a shape (h,w) that a crop leaves.

    Raises:
        DataError: a crop that is not defined for the shape.
    """
    height, width = shape
    if crop == "none":
        return slice(0, height), slice(0, width)
    if crop == "nyu_eigen":
        if shape != _NYU:
            raise _undefined(crop, shape, "of 480x640")
        return slice(45, 471), slice(41, 601)
    if crop == "kitti_benchmark":
        return benchmark(shape)
    top, bottom, left, right = _FRACTIONS[crop]
    rows = slice(int(top * height), int(bottom * height))
    return rows, slice(int(left * width), int(right * width))


def benchmark(shape: tuple[int, ...]) -> Window:
    """The window of 352x1216 at the bottom and in the middle of a KITTI map (h,w).

    Raises:
        DataError: a map that is smaller.
    """
    top, left = shape[0] - BENCHMARK[0], int((shape[1] - BENCHMARK[1]) / 2)
    if min(top, shape[1] - BENCHMARK[1]) < 0:
        raise _undefined("kitti_benchmark", shape, "of at least 352x1216")
    return slice(top, top + BENCHMARK[0]), slice(left, left + BENCHMARK[1])


def name(measure: MeasureRecipe) -> str:
    """The protocol in words, as `654 images, crop nyu_eigen, 0.001-10 m`: what must be equal for
    two figures to be comparable. Alignment and convention are told where they are not the default.
    """
    crop = "no crop" if measure.crop == "none" else f"crop {measure.crop}"
    words = [crop, f"{measure.min_depth:g}-{measure.max_depth:g} m"]
    if measure.split:
        words.insert(0, measure.split)
    if measure.alignment != "none":
        words.append(f"aligned by {measure.alignment}")
    if measure.convention != type(measure).model_fields["convention"].default:
        words.append(f"convention {measure.convention}")
    return ", ".join(words)


def _undefined(crop: Crop, shape: tuple[int, ...], size: str) -> DataError:
    return DataError(
        f"the crop `{crop}` is for depth maps {size}, not {shape[0]}x{shape[1]}; set another "
        "`measure.crop`, as `none`"
    )
