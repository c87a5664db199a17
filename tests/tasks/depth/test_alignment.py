"""Alignment against numpy's least squares and its own invariances."""

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.depth.alignment import align, fit
from tasks.depth.metrics import image_figures
from tasks.depth.protocol import mask
from tests.tasks.depth.samples import maps, measure_of

CAP = 10.0


@pytest.mark.parametrize("cap", [CAP, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_scale_and_shift_are_those_of_least_squares(seed: int, cap: float) -> None:
    prediction, truth = maps(seed)
    counted = mask(truth, measure_of())
    x, y = 1 / prediction[counted].astype(float), 1 / truth[counted].astype(float)
    system = np.stack([x, np.ones_like(x)], 1)
    (scale, shift), *_ = np.linalg.lstsq(system, y, rcond=None)
    assert fit(x, y) == pytest.approx((scale, shift), rel=1e-9, abs=1e-12)
    found = align(prediction, truth, counted, "scale_shift", cap)[counted]
    expected = 1 / np.maximum(scale * x + shift, 1 / cap)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (found == 5).any() == (cap == 5)


@pytest.mark.parametrize("same", [2.5, 0.37, 1e-3])
def test_the_same_depth_everywhere_becomes_what_least_squares_make_of_it(same: float) -> None:
    _, truth = maps(3)
    counted = mask(truth, measure_of())
    prediction = np.full(truth.shape, same, np.float32)
    x, y = 1 / prediction[counted].astype(float), 1 / truth[counted].astype(float)
    system = np.stack([x, np.ones_like(x)], 1)
    solution, _, rank, _ = np.linalg.lstsq(system, y, rcond=None)
    assert rank == 1
    found = align(prediction, truth, counted, "scale_shift", CAP)[counted]
    np.testing.assert_allclose(found, 1 / (system @ solution), rtol=1e-9)


def test_one_pixel_is_met_exactly() -> None:
    prediction, truth = maps(0)
    counted = np.zeros(truth.shape, bool)
    place = np.unravel_index(np.argmax((truth > 0) & (truth < CAP)), truth.shape)
    counted[place] = True
    for kind in ("median", "scale_shift"):
        found = align(prediction, truth, counted, kind, CAP)
        assert found[place] == pytest.approx(float(truth[place]), rel=1e-12)


def test_the_median_is_met() -> None:
    prediction, truth = maps(1)
    counted = mask(truth, measure_of())
    found = align(prediction, truth, counted, "median", CAP)
    assert np.median(found[counted]) == pytest.approx(np.median(truth[counted]), rel=1e-6)
    quotient = found / prediction
    assert quotient.max() == pytest.approx(quotient.min(), rel=1e-12)


@pytest.mark.parametrize("alignment", ["median", "scale_shift"])
def test_a_factor_on_the_prediction_changes_nothing(alignment: str) -> None:
    prediction, truth = maps(2)
    measure = measure_of(alignment=alignment)
    once = image_figures(prediction, truth, measure)
    # A power of two is exact in float32.
    assert image_figures(prediction * np.float32(16), truth, measure) == pytest.approx(
        once, rel=1e-12
    )
    assert image_figures(prediction, truth, measure_of())["rmse"] != once["rmse"]


def test_a_truth_hidden_behind_scale_and_shift_is_found() -> None:
    _, truth = maps(4)
    known = np.where(truth > 0, truth, np.float32(1)).astype(float)
    hidden = (1 / (3 / known + 0.2)).astype(np.float32)
    found = image_figures(hidden, truth, measure_of(alignment="scale_shift"))
    # What is left is the rounding of the hidden map to float32.
    assert found["rmse"] < 1e-5
    assert found["d1"] == 1


def test_pixels_outside_of_the_mask_may_be_anything() -> None:
    prediction, truth = maps(5)
    for alignment in ("median", "scale_shift"):
        measure = measure_of(alignment=alignment)
        wild = np.where(mask(truth, measure), prediction, np.float32("nan"))
        wild.flat[np.flatnonzero(np.isnan(wild))[:3]] = [0, -1, np.inf]
        assert image_figures(wild, truth, measure) == image_figures(prediction, truth, measure)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("alignment", ["median", "scale_shift"])
def test_predictions_that_nothing_can_be_fitted_to_are_refused(bad: float, alignment: str) -> None:
    prediction, truth = maps(6)
    measure = measure_of(alignment=alignment)
    prediction.flat[np.flatnonzero(mask(truth, measure))[:2]] = bad
    with pytest.raises(DataError, match=r"2 of \d+ pixels are not predicted as a number above 0"):
        image_figures(prediction, truth, measure)
