"""Training's view of an image and its depth, against slow definitions of each step."""

from __future__ import annotations

import copy
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.depth import cutdepth, photometric
from tasks.depth.augmentation import augment, resized
from tasks.depth.maps import Stored
from tasks.depth.recipe import AugmentationRecipe

SIZE = (40, 56)
FAR = 10.0
STILL = {"flip": 0.0, "crop": "none"}
MOVES = {"flip": 0.5, "crop": "random"}
COLOURS = {"brightness_contrast": 0.5, "gamma": 0.5, "hue_saturation": 0.5}


def settings(**given: Any) -> AugmentationRecipe:
    return AugmentationRecipe.model_validate(STILL | given)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def photograph(seed: int = 0, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def shown() -> tuple[NDArray[np.uint8], Stored]:
    """An image that shows its depth as the corrected CutDepth does, 0 to 10 m as 0 to 255."""
    stored = rng(1).integers(0, 10_001, SIZE).astype(np.uint16)
    grey = np.rint(stored / np.float32(10_000) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2), Stored(stored, 1000.0)


@pytest.mark.parametrize(
    "given",
    [MOVES, {"flip": 1.0, "crop": "centre"}, {"flip": 0.5}, MOVES | {"cutdepth": 0.5}],
    ids=["random", "centre", "whole", "cutdepth"],
)
def test_depth_goes_where_its_image_goes(given: dict[str, Any]) -> None:
    image, depth = shown()
    size = (24, 24) if "crop" in given else SIZE
    changed = 0
    for seed in range(50):
        seen, found = augment(image, depth, size, settings(**given), FAR, rng(seed))
        assert seen.shape == (*size, 3) and found.size == size
        expected = np.rint(found.metres() / np.float32(FAR) * 255)
        # A quotient that falls between two numbers may go to either.
        assert (np.abs(seen - expected[..., None]) <= 1).all()
        assert (seen == expected[..., None]).mean() > 0.99
        changed += seen.tobytes() != image[: size[0], : size[1]].tobytes()
    assert changed > 20


def test_colours_leave_the_depth_as_it_is() -> None:
    image, depth = shown()
    for seed in range(30):
        plain = augment(image, depth, (24, 24), settings(**MOVES), FAR, rng(seed))
        coloured = augment(image, depth, (24, 24), settings(**MOVES | COLOURS), FAR, rng(seed))
        assert (plain[1].values == coloured[1].values).all()


def test_a_function_of_the_generator() -> None:
    image, depth = photograph(), shown()[1]
    every = settings(cutdepth=0.5, **MOVES, **COLOURS)
    before = image.copy()
    outputs = set()
    for seed in range(20):
        (one, deep), (two, deep_again) = (
            augment(image, depth, (24, 24), every, FAR, rng(seed)) for _ in range(2)
        )
        assert (one == two).all() and (deep.values == deep_again.values).all()
        outputs.add(one.tobytes())
    assert len(outputs) == 20
    assert (image == before).all(), "what a source gave is not changed"


def test_nothing_is_drawn_for_what_is_left_out() -> None:
    drawn = rng(0)
    seen, found = augment(*shown(), SIZE, settings(), FAR, drawn)
    assert drawn.random() == rng(0).random()
    assert (seen == shown()[0]).all() and (found.values == shown()[1].values).all()


@pytest.mark.parametrize("rule", ["published", "corrected"])
def test_the_whole_order_against_a_slow_definition(rule: str) -> None:
    """Paste, mirror, crop, brightness and contrast, gamma, hue: one after the other, every pixel by
    itself, with the same draws."""
    image, depth = photograph(), shown()[1]
    every = settings(cutdepth=0.5, cutdepth_paste=rule, **MOVES, **COLOURS)
    for seed in range(40):
        seen, found = augment(image, depth, (24, 30), every, FAR, rng(seed))
        expected, values = slow(image, depth.values, (24, 30), rule, rng(seed))
        assert (seen == expected).all(), seed
        assert (found.values == values).all()


def slow(
    image: NDArray[np.uint8],
    stored: NDArray[np.uint16],
    size: tuple[int, int],
    rule: str,
    draw: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    height, width = stored.shape
    image = image.copy()
    if draw.random() < 0.5:
        a, b = draw.random(), draw.random()
        left = int(a * width)
        for column in range(left, left + int(max(1, (width - a * width) * b * 0.75))):
            for row in range(height):
                number = int(stored[row, column])
                metres = round(float(np.float32(number) / np.float32(10_000)) * 255)
                image[row, column] = number % 256 if rule == "published" else metres
    if draw.random() < 0.5:
        image, stored = image[:, ::-1], stored[:, ::-1]
    top, left = int(draw.random() * (height - size[0])), int(draw.random() * (width - size[1]))
    image = image[top : top + size[0], left : left + size[1]]
    stored = stored[top : top + size[0], left : left + size[1]]
    if draw.random() < 0.5:
        beta, alpha = draw.uniform(-0.2, 0.2), 1 + draw.uniform(-0.2, 0.2)
        product = image.astype(np.float32) * np.float32(alpha) + np.float32(beta * 255)
        image = np.clip(product, 0, 255).astype(np.uint8)
    if draw.random() < 0.5:
        power = int(draw.integers(80, 121)) / 100
        image = np.floor(255 * (image * (1 / 255)) ** power).astype(np.uint8)
    if draw.random() < 0.5:
        shifts = [draw.uniform(-reach, reach) for reach in (20, 30, 20)]
        hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV).astype(float)
        hsv[..., 0] = np.floor((hsv[..., 0] + shifts[0]) % 180)
        for channel in (1, 2):
            hsv[..., channel] = np.floor(np.clip(hsv[..., channel] + shifts[channel], 0, 255))
        image = np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)
    return image, stored


def test_brightness_and_contrast() -> None:
    assert photometric.brightness_contrast(0.2, 0.0)[[0, 100, 204, 255]].tolist() == [
        51,
        151,
        255,
        255,
    ]
    assert photometric.brightness_contrast(0.0, -0.2)[[0, 100, 204, 255]].tolist() == [
        0,
        80,
        163,
        204,
    ]
    assert (photometric.brightness_contrast(0.0, 0.0) == np.arange(256)).all()


def test_gamma() -> None:
    darker, brighter = photometric.gamma(1.2), photometric.gamma(0.8)
    assert (np.diff(darker.astype(int)) >= 0).all() and darker[255] == brighter[255] == 255
    assert (darker <= np.arange(256)).all() and (brighter >= np.arange(256)).all()
    assert darker[128] == int(255 * (128 / 255) ** 1.2)


def test_hue_turns_and_saturation_stops() -> None:
    red = np.full((2, 2, 3), (200, 0, 0), np.uint8)
    assert photometric.shift_hsv(red, 60.0, 0.0, 0.0)[0, 0].tolist() == [0, 200, 0]
    assert photometric.shift_hsv(red, -60.0, 0.0, 0.0)[0, 0].tolist() == [0, 0, 200]
    assert photometric.shift_hsv(red, 0.0, 30.0, 20.0)[0, 0].tolist() == [220, 0, 0]
    grey = np.full((2, 2, 3), 90, np.uint8)
    assert photometric.shift_hsv(grey, 20.0, -30.0, -20.0)[0, 0].tolist() == [70, 70, 70]


def test_columns_of_cutdepth() -> None:
    """Within the image, at least one, at most three quarters of what is right of the first; on
    average (1 - a) b 0.75 W of W, a and b uniform: 0.1875 W."""
    draw, widths = rng(0), []
    for _ in range(5_000):
        where = cutdepth.columns(640, 0.75, draw)
        assert 0 <= where.start < where.stop <= 640
        assert where.stop - where.start <= max(1, 0.75 * (640 - where.start))
        widths.append(where.stop - where.start)
    # Standard deviation of a width is 0.148 W: five standard errors, and 0.5 px of rounding.
    assert abs(np.mean(widths) - 0.1875 * 640) < 5 * 0.148 * 640 / np.sqrt(5_000) + 0.5


def test_published_and_corrected_paste() -> None:
    image, millimetres = photograph(), np.full(SIZE, 2999, np.uint16)
    where = slice(5, 9)
    given = (image, Stored(millimetres, 1000.0), where)
    pasted = cutdepth.paste(*given, "published", FAR)
    assert (pasted[:, where] == 183).all(), "2999 modulo 256"
    outside = np.delete(np.arange(SIZE[1]), where)
    assert (pasted[:, outside] == image[:, outside]).all()
    assert (cutdepth.paste(*given, "corrected", FAR)[:, where] == round(2.999 * 25.5)).all()
    kitti = Stored(np.full(SIZE, 2688, np.uint16), 256.0)  # 10.5 m
    assert (cutdepth.paste(image, kitti, where, "published", 80.0)[:, where] == 128).all()
    far = cutdepth.paste(image, kitti, where, "corrected", 10.0)
    assert (far[:, where] == 255).all(), "further away than the largest depth"
    metres = Stored(np.full(SIZE, 3.7, np.float32), 1.0)
    assert (cutdepth.paste(image, metres, where, "published", FAR)[:, where] == 3).all()


def test_random_crops_reach_everywhere_but_the_last_offset() -> None:
    """As int(u (H - h)) does, with u below 1."""
    height, width = SIZE
    rows = np.repeat(np.arange(height, dtype=np.uint16)[:, None] + 1, width, 1)
    image = np.zeros((*SIZE, 3), np.uint8)
    crop = settings(crop="random")
    tops = set()
    for seed in range(400):
        _, found = augment(image, Stored(rows, 1.0), (30, 30), crop, FAR, rng(seed))
        tops.add(int(found.values[0, 0]) - 1)
    assert tops == set(range(height - 30))


def test_resizing() -> None:
    """A mean of areas where it shrinks: no pixel is passed over."""
    image = photograph(size=(8, 12))
    small = resized(image, (4, 6))
    means = image.reshape(4, 2, 6, 2, 3).mean((1, 3))
    assert np.abs(small - means).max() <= 0.5
    assert resized(image, (8, 12)) is image
    assert resized(image, (16, 6)).shape == (16, 6, 3)


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="smaller number comes first"):
        settings(gamma_range=(120, 80))
    every = settings(**COLOURS)
    assert every.moves and not settings().moves
    assert copy.deepcopy(every) == every
