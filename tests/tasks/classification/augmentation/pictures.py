"""Images for the tests of augmentation."""

import cv2
import numpy as np
from numpy.typing import NDArray


def photograph(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth shapes with some grain, as light as a photograph, saturated in places."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-60, 315, (5, 6, 3))
    smooth = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    smooth = smooth.reshape(height, width, 3) + rng.normal(0, 4, (height, width, 3))
    return np.clip(smooth, 0, 255).astype(np.uint8)
