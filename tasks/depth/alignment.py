"""Predictions that are right up to a factor, or up to scale and shift of the inverse depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.contract import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

Kind = Literal["none", "median", "scale_shift"]


def align(
    prediction: NDArray[np.floating],
    truth: NDArray[np.floating],
    mask: Mask,
    kind: Kind,
    cap: float,
) -> NDArray[np.floating]:
    """The prediction brought to its truth by what is fitted to the pixels of the mask.

    `median`: times the quotient of the medians (Zhou et al. 2017). `scale_shift`: the inverse
    depth s / p + t with the least squared error to 1 / g, not less than 1 / cap (Ranftl et al.
    2020, MiDaS). Of a prediction that is the same everywhere the scale is 0, as it is in the limit
    of little ridge: every pixel becomes the mean inverse depth.

    Args:
        prediction: (h,w) metres, or in any unit.
        truth: (h,w) metres.
        mask: (h,w) at least one pixel, above 0 in the truth.
        kind: what is fitted; `none` gives the prediction back.
        cap: largest depth, metres.

    Returns:
        (h,w) metres, float64 where something was fitted.

    Raises:
        DataError: pixels of the mask that are predicted as 0 or less, or as no number.
    """
    if kind == "none":
        return prediction
    p, g = prediction[mask].astype(np.float64), truth[mask].astype(np.float64)
    wrong = int((~(np.isfinite(p) & (p > 0))).sum())
    if wrong:
        raise DataError(
            f"{wrong} of {len(p)} pixels are not predicted as a number above 0, so that nothing "
            f"can be fitted to them; measure without `measure.alignment={kind}`"
        )
    # Pixels outside of the mask may be anything; they do not count.
    with np.errstate(all="ignore"):
        if kind == "median":
            return prediction.astype(np.float64) * (np.median(g) / np.median(p))
        scale, shift = fit(1 / p, 1 / g)
        aligned: Floats = 1 / np.maximum(scale / prediction.astype(np.float64) + shift, 1 / cap)
        return aligned


def fit(x: Floats, y: Floats) -> tuple[float, float]:
    """Scale and shift of (n,) values with the least squared error of scale * x + shift to y; of
    equal x the scale is 0."""
    dx, dy = x - x.mean(), y - y.mean()
    scale = 0.0 if x.min() == x.max() else float((dx * dy).sum() / (dx * dx).sum())
    return scale, float(y.mean() - scale * x.mean())
