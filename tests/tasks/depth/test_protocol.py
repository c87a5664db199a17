"""Which pixels count."""

import numpy as np
import pytest

from tasks.contract import DataError
from tasks.depth.protocol import benchmark, mask, name, window
from tasks.depth.recipe import Crop
from tests.tasks.depth.samples import measure_of


def bounds(shape: tuple[int, int], crop: Crop) -> tuple[int, int, int, int]:
    rows, columns = window(shape, crop)
    return rows.start, rows.stop, columns.start, columns.stop


@pytest.mark.parametrize(
    ("shape", "crop", "expected"),
    [
        ((480, 640), "nyu_eigen", (45, 471, 41, 601)),
        ((352, 1216), "kitti_garg", (143, 349, 43, 1172)),
        ((352, 1216), "kitti_eigen", (117, 321, 43, 1172)),
        ((375, 1242), "kitti_garg", (153, 371, 44, 1197)),
        ((375, 1242), "kitti_benchmark", (23, 375, 13, 1229)),
        ((370, 1226), "kitti_benchmark", (18, 370, 5, 1221)),
        ((376, 1241), "kitti_benchmark", (24, 376, 12, 1228)),
        # Half a column is cut off, not rounded.
        ((376, 1243), "kitti_benchmark", (24, 376, 13, 1229)),
        ((352, 1216), "kitti_benchmark", (0, 352, 0, 1216)),
        ((24, 30), "none", (0, 24, 0, 30)),
    ],
)
def test_crops(shape: tuple[int, int], crop: Crop, expected: tuple[int, ...]) -> None:
    assert bounds(shape, crop) == expected
    top, bottom, left, right = expected
    counted = mask(np.full(shape, 2, np.float32), measure_of(crop=crop))
    assert counted.sum() == (bottom - top) * (right - left)
    assert counted[top, left]
    assert counted[bottom - 1, right - 1]


@pytest.mark.parametrize(
    ("shape", "crop", "message"),
    [
        ((240, 320), "nyu_eigen", "`nyu_eigen` is for depth maps of 480x640, not 240x320"),
        ((640, 480), "nyu_eigen", "set another `measure.crop`"),
        ((352, 1215), "kitti_benchmark", "of at least 352x1216, not 352x1215"),
        ((351, 1216), "kitti_benchmark", "of at least 352x1216, not 351x1216"),
    ],
)
def test_a_crop_that_a_size_does_not_have_is_refused(
    shape: tuple[int, int], crop: Crop, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        mask(np.ones(shape, np.float32), measure_of(crop=crop))


def test_the_benchmark_crop_then_no_crop_is_the_benchmark_crop() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, (375, 1242)).astype(np.float32)
    whole = mask(truth, measure_of(crop="kitti_benchmark", max_depth=80))
    part = benchmark(truth.shape)
    assert whole.sum() == whole[part].sum()
    assert (whole[part] == mask(truth[part], measure_of(max_depth=80))).all()


def test_the_range_is_strict_and_in_float32() -> None:
    low, high = np.float32(1e-3), np.float32(10)
    above, below = np.nextafter(low, high), np.nextafter(high, low)
    # float32(1e-3) lies above 1e-3, and all the same does not count.
    assert float(low) > 1e-3
    truth = np.array([[low, above, below, high, 0, -1, np.nan, np.inf, -np.inf]], np.float32)
    assert mask(truth, measure_of()).tolist() == [[False, True, True, *[False] * 6]]


def test_names() -> None:
    nyu = measure_of(split="654 images", crop="nyu_eigen")
    assert name(nyu) == "654 images, crop nyu_eigen, 0.001-10 m"
    assert name(measure_of(max_depth=80)) == "no crop, 0.001-80 m"
    relative = measure_of(alignment="scale_shift", convention="bts")
    assert name(relative) == "no crop, 0.001-10 m, aligned by scale_shift, convention bts"


def test_protocols_that_give_other_figures_have_other_names() -> None:
    settings = [
        {},
        {"split": "1449 images"},
        {"crop": "kitti_garg"},
        {"crop": "kitti_eigen"},
        {"min_depth": 0.1},
        {"max_depth": 80},
        {"alignment": "median"},
        {"convention": "bts"},
    ]
    assert len({name(measure_of(**s)) for s in settings}) == len(settings)
