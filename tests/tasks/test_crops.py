"""Crops have the declared distribution and are resized as torchvision does it."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop

from tasks import crops


def test_areas_and_shapes_stay_in_their_ranges_and_fill_them() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array(
        [crops.random_crop((200, 200), (0.2, 0.5), (0.75, 4 / 3), rng) for _ in range(4000)]
    )
    top, left, height, width = drawn.T
    assert (top >= 0).all() and (top + height <= 200).all()
    assert (left >= 0).all() and (left + width <= 200).all()
    # Whole pixels move the share by at most 1 in 77 a side, the least side of a crop.
    share, shape = height * width / 200**2, width / height
    assert share.min() > 0.2 * 0.98 and share.max() < 0.5 * 1.02
    assert shape.min() > 0.75 * 0.98 and shape.max() < 4 / 3 * 1.02
    # Uniform in area and in the logarithm of the shape: means within 4 standard errors.
    assert abs(share.mean() - 0.35) < 4 * 0.3 / np.sqrt(12 * 4000) + 1e-3
    assert abs(np.log(shape).mean()) < 4 * np.log(16 / 9) / np.sqrt(12 * 4000) + 1e-3


def test_an_image_too_long_for_any_crop_gives_its_middle() -> None:
    crop = crops.random_crop((30, 300), (1.0, 1.0), (0.75, 4 / 3), np.random.default_rng(0))
    assert crop == (0, 130, 30, 40)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resizing_is_torchvisions(interpolation: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    ours = crops.cut(image, crops.Crop(5, 11, 70, 80), (32, 48), interpolation)
    theirs = resized_crop(
        Image.fromarray(image), 5, 11, 70, 80, [32, 48], InterpolationMode(interpolation)
    )
    assert np.array_equal(ours, np.asarray(theirs))


def test_a_line_of_pixels_has_a_crop() -> None:
    assert crops.central_crop((1, 900), 4.0) == (0, 448, 1, 4)
    assert crops.central_crop((1, 1), 5.0) == (0, 0, 1, 1)
