"""The norm of a mean offset, image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def along_mean(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,heads): every image's offset (x,y) along the direction of the mean over images.

    Its mean is the norm of the mean offset, and its standard error that of the norm to first order
    (the delta method); the mean of the images' own norms would be larger, and not 0 for a head
    without direction. 0 where the mean is.
    """
    mean = np.stack([x.mean(axis=0), y.mean(axis=0)])
    norm = np.hypot(*mean)
    direction = np.divide(mean, norm, out=np.zeros_like(mean), where=norm > 0)
    along: NDArray[np.float64] = x * direction[0] + y * direction[1]
    return along
