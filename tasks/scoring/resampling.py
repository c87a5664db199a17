"""Samples drawn from the test images with replacement: the same for everybody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 200


def draws(images: int, seed: int = 0) -> Floats:
    """(RESAMPLES, images) how often each image is drawn, with replacement and a fixed seed."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    return drawn.astype(float)


def standard_error(values: Floats) -> float | None:
    """Standard deviation over the resamples in which something counts; None below two."""
    defined = values[values > -1]
    return float(defined.std(ddof=1)) if len(defined) > 1 else None
