"""Which pixels of a truth count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.depth.recipe import MeasureRecipe


def mask(truth: NDArray[np.float32], measure: MeasureRecipe) -> NDArray[np.bool_]:
    """Pixels (h,w) in the crop whose depth lies strictly in the range, in single precision."""
    near, far = np.float32(measure.min_depth), np.float32(measure.max_depth)
    height, width = truth.shape
    inside = np.zeros(truth.shape, np.bool_)
    if measure.crop == "nyu_eigen":
        inside[45:471, 41:601] = True
    elif measure.crop == "kitti_garg":
        inside[
            int(0.40810811 * height) : int(0.99189189 * height),
            int(0.03594771 * width) : int(0.96405229 * width),
        ] = True
    elif measure.crop == "kitti_eigen":
        inside[
            int(0.3324324 * height) : int(0.91351351 * height),
            int(0.0359477 * width) : int(0.96405229 * width),
        ] = True
    else:
        inside[:] = True
    found: NDArray[np.bool_] = inside & (truth > near) & (truth < far)
    return found
