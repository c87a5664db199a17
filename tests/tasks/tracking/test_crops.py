"""Crops are SwinTrack's to the last digit, and their pixels bilinear in float64."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tasks.contract import RecipeError
from tasks.tracking.crops import MARGIN, Window, clip, corners, mean_colour

if TYPE_CHECKING:
    from numpy.typing import NDArray

STORED = Path(__file__).parents[2] / "fixtures/recipes/targets/swintrack_crop_labels.json"
CASES = json.loads(STORED.read_text())["cases"]
NAMES = [f"{case['config']} {case['box_xyxy']}" for case in CASES]


def box_of(case: dict[str, Any]) -> NDArray[np.float64]:
    x1, y1, x2, y2 = case["box_xyxy"]
    return np.array([x1, y1, x2 - x1, y2 - y1])


def rows(window: Window) -> NDArray[np.float64]:
    return np.stack((window.scale, window.source, window.target))


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@pytest.mark.parametrize("kind", ["template", "search"])
def test_areas_are_swintracks(case: dict[str, Any], kind: str) -> None:
    box, wanted = box_of(case), case[kind]
    size = tuple(wanted["size"])
    window = Window.of(box, wanted["area_factor"], size)
    assert rows(window) == pytest.approx(np.array(wanted["scale_source_target"]), rel=1e-9)
    assert window.to_crop(corners(box)) == pytest.approx(np.array(wanted["box_in_crop"]), rel=1e-9)
    provided = {"template": ("inference_provider", 0.0), "search": ("inference_provider_min10", 10)}
    name, min_side = provided[kind]
    least = Window.of(box, wanted["area_factor"], size, min_side)
    assert rows(least) == pytest.approx(np.array(wanted[name]), rel=1e-9)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_jitter_is_swintracks_for_the_same_draws(case: dict[str, Any]) -> None:
    box, size = box_of(case), tuple(case["search"]["size"])
    wanted = case["search_jittered_torch_seed_3"]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        normal, uniform = torch.randn(2).double().numpy(), torch.rand(2).double().numpy()
    still = Window.of(box, case["search"]["area_factor"], size)
    window = still.moved(box, np.exp(0.25 * normal), 3.0 * (uniform - 0.5))
    # The reference draws, stretches and shifts in float32: 6e-8 of the largest term.
    found = rows(window)
    assert found == pytest.approx(np.array(wanted["scale_source_target"]), rel=2.4e-7)
    label = clip(window.to_crop(corners(box)), size, MARGIN)
    assert label == pytest.approx(np.array(wanted["clipped_box_in_crop"]), rel=2.4e-7)
    still_label = clip(still.to_crop(corners(box)), size, MARGIN)
    wanted_label = case["label_unjittered"]["clipped_box_in_crop"]
    assert still_label == pytest.approx(np.array(wanted_label), rel=1e-9)


def test_the_way_back_is_the_inverse() -> None:
    rng = np.random.default_rng(0)
    boxes = rng.uniform(-50, 300, (3, 7, 4))
    window = Window(np.array([0.3, 2.1]), np.array([70.3, 11.9]), np.array([40.0, 61.5]))
    assert window.to_image(window.to_crop(boxes)) == pytest.approx(boxes, abs=1e-9)


def test_jittered_areas_have_the_stated_distribution_and_meet_the_box() -> None:
    rng, box, size = np.random.default_rng(1), np.array([100.0, 80, 30, 50]), (96, 128)
    still = Window.of(box, 4.0, size)
    drawn = [Window.jittered(box, 4.0, size, 0.25, 3.0, rng) for _ in range(3000)]
    stretches = np.log(still.scale / np.array([w.scale for w in drawn])) / 0.25
    error = 1 / math.sqrt(2 * 3000)
    assert abs(stretches.mean()) < 4 * error and stretches.std() == pytest.approx(1, abs=4 * error)
    shifts = [(still.target - w.target) / (box[2:] * w.scale).mean() for w in drawn]
    # Uniform in +-1.5, but for the few that are drawn again because they miss.
    assert np.abs(shifts).max() < 1.5
    assert np.std(shifts) == pytest.approx(1.5 / math.sqrt(3), abs=0.02)
    labels = np.array([clip(w.to_crop(corners(box)), size, MARGIN) for w in drawn])
    assert (labels[:, :2] < labels[:, 2:]).all()
    assert labels.min() >= 0.5 and (labels[:, 2:].max(0) <= [127.5, 95.5]).all()


def test_areas_are_drawn_again_until_they_meet_the_box_but_not_for_ever() -> None:
    rng, box, size = np.random.default_rng(2), np.array([10.0, 10, 20, 20]), (64, 64)
    for _ in range(50):
        window = Window.jittered(box, 2.0, size, 0.25, 20.0, rng)
        x1, y1, x2, y2 = clip(window.to_crop(corners(box)), size, MARGIN)
        assert x1 < x2 and y1 < y2
    with pytest.raises(RecipeError, match=r"crop.shift_jitter` 1e\+09 .*make them smaller"):
        Window.jittered(box, 2.0, size, 0.25, 1e9, rng)


def bilinear(
    image: NDArray[np.uint8], window: Window, size: tuple[int, int], colour: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each pixel of the crop by itself, from the point of the image that its centre stands for."""
    found = np.empty((*size, 3))

    def value(row: int, column: int) -> NDArray[np.float64]:
        inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
        return image[row, column].astype(float) if inside else colour

    for i in range(size[0]):
        for j in range(size[1]):
            point = (np.array([j + 0.5, i + 0.5]) - window.target) / window.scale + window.source
            x, y = point - 0.5
            left, top = math.floor(x), math.floor(y)
            across, down = x - left, y - top
            found[i, j] = (1 - down) * (
                (1 - across) * value(top, left) + across * value(top, left + 1)
            ) + down * ((1 - across) * value(top + 1, left) + across * value(top + 1, left + 1))
    return found


@pytest.mark.parametrize(
    ("box", "factor"),
    [
        ([20.3, 14.9, 11.0, 17.0], 4.0),
        ([-12.0, -6.0, 30.0, 20.0], 2.0),
        ([40.0, 25.0, 1.3, 0.7], 2.0),
        ([0.0, 0.0, 64.0, 48.0], 8.0),
    ],
    ids=["within", "over the corner", "enlarged 30 times", "far outside"],
)
def test_pixels_are_the_definitions_up_to_rounding(box: list[float], factor: float) -> None:
    image = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    size, colour = (36, 44), np.array([90.2, 120.7, 30.5])
    still = Window.of(np.array(box), factor, size)
    for window in (still, still.moved(np.array(box), np.array([0.8, 1.3]), np.array([0.4, -0.7]))):
        wanted = bilinear(image, window, size, np.rint(colour))
        found = window.cut(image, size, colour)
        # Half a grey value for rounding, the rest for the single precision of its weights.
        assert np.abs(found - wanted).max() < 0.52


def test_a_crop_of_one_to_one_is_the_image() -> None:
    image = np.random.default_rng(4).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    window = Window(np.ones(2), np.array([28.0, 20.0]), np.array([28.0, 20.0]))
    assert (window.cut(image, (40, 56), mean_colour(image)) == image).all()
    shifted = Window(np.ones(2), np.array([28.0, 20.0]), np.array([26.0, 21.0]))
    found = shifted.cut(image, (40, 56), np.array([1.0, 2.0, 3.0]))
    assert (found[1:, :54] == image[:39, 2:]).all()
    assert (found[0] == [1, 2, 3]).all() and (found[:, 54:] == [1, 2, 3]).all()


def test_a_crop_shows_its_target_where_its_box_says() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    image[30:50, 60:90] = 255
    box, size = np.array([60.0, 30, 30, 20]), (160, 200)
    still = Window.of(box, 2.0, size)
    window = still.moved(box, np.array([0.8, 1.3]), np.array([0.3, -0.2]))
    seen = window.cut(image, size, np.zeros(3))[..., 0] / 255
    x1, y1, x2, y2 = window.to_crop(corners(box))
    # A blurred edge keeps its place at half its height, and the area of the whole.
    assert seen.sum() == pytest.approx((x2 - x1) * (y2 - y1), rel=0.01)
    down, across = np.indices(size) + 0.5
    assert (across * seen).sum() / seen.sum() == pytest.approx((x1 + x2) / 2, abs=0.05)
    assert (down * seen).sum() / seen.sum() == pytest.approx((y1 + y2) / 2, abs=0.05)


def test_the_mean_colour_is_of_each_channel() -> None:
    image = np.random.default_rng(5).integers(0, 256, (33, 21, 3), dtype=np.uint8)
    assert mean_colour(image) == pytest.approx(image.reshape(-1, 3).mean(0))
