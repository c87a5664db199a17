"""The random boxes against mmpose's transforms, which draw from numpy's global generator."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks import openmmlab
from tasks.pose.crop import Region, augment, region
from tasks.pose.recipe import AugmentationRecipe
from tasks.pose.skeleton import skeleton
from tests.tasks.pose.folders import JOINTS, recipe

SKELETON = skeleton(JOINTS)
LOWER = np.array(SKELETON.lower)
WIDTH, BOX = 400, np.array([60.0, 40.0, 50.0, 120.0])
PAPER = recipe("paper").augmentation
STILL = PAPER.model_copy(
    update={"shift_probability": 0.0, "scale_probability": 0.0, "rotation_probability": 0.0}
)
DRAWS = 3000


@pytest.fixture(scope="module")
def transforms() -> Any:
    return openmmlab.load("mmpose.datasets.transforms.common_transforms")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What mmpose draws is the same in every run."""
    np.random.seed(0)  # noqa: NPY002


def pose() -> NDArray[np.float64]:
    points: NDArray[np.float64] = (
        BOX[:2] + np.random.default_rng(1).uniform(0, 1, (17, 2)) * BOX[2:]
    )
    return points


def drawn(settings: AugmentationRecipe, visible: NDArray[np.bool_]) -> list[Region]:
    rng, points = np.random.default_rng(0), pose()
    return [
        augment(region(BOX, 1.25), points, visible, SKELETON, WIDTH, settings, rng)
        for _ in range(DRAWS)
    ]


def visible(*hidden: int) -> NDArray[np.bool_]:
    return ~np.isin(np.arange(17), hidden)


CASES = {
    "all joints": (visible(), 9),
    "nine joints": (visible(*range(5, 13)), 9),
    "eight joints": (visible(*range(5, 14)), 9),
    "two lower joints": (visible(*range(13, 17)), 9),
    "one upper joint": (visible(*range(1, 11)), 7),
    "two upper joints": (visible(1, *range(3, 11)), 7),
}
"""Which joints are labelled, and how many must be for half a body."""


@pytest.mark.parametrize("case", CASES)
def test_mirror_and_half_bodies_as_mmpose(transforms: Any, case: str) -> None:
    """The same regions, as often: mirrored or not; the box, or one half of the body."""
    labelled, least = CASES[case]
    steps = [
        transforms.GetBBoxCenterScale(padding=1.25),
        transforms.RandomFlip(prob=PAPER.flip),
        transforms.RandomHalfBody(min_total_keypoints=least, prob=0.8),
    ]
    expected: Counter[tuple[Any, ...]] = Counter()
    for _ in range(DRAWS):
        person: dict[str, Any] = {
            "img": np.zeros((1, WIDTH, 1), np.uint8),
            "img_shape": (1, WIDTH),
            "bbox": np.array([[*BOX[:2], *(BOX[:2] + BOX[2:])]]),
            "keypoints": pose()[None],
            "keypoints_visible": labelled[None].astype(float),
            "flip_indices": list(SKELETON.flip),
            "upper_body_ids": np.flatnonzero(~LOWER).tolist(),
            "lower_body_ids": np.flatnonzero(LOWER).tolist(),
        }
        for step in steps:
            person = step(person)
        place = (*person["bbox_center"][0], *person["bbox_scale"][0])
        expected[(*np.round(place, 3).tolist(), bool(person["flip"]))] += 1
    half = {"half_body": 0.8, "half_body_joints": least}
    found = Counter(
        (*np.round([*area.center, *area.scale], 3).tolist(), area.mirrored)
        for area in drawn(STILL.model_copy(update=half), labelled)
    )
    assert set(found) == set(expected)
    for place, count in expected.items():
        share = count / DRAWS
        # Five standard deviations of a difference of two shares.
        spread = 5 * np.sqrt(2 * share * (1 - share) / DRAWS)
        assert found[place] / DRAWS == pytest.approx(share, abs=spread)


def test_shift_scale_and_rotation_as_mmpose(transforms: Any) -> None:
    unit = {"bbox_center": np.zeros((DRAWS, 2)), "bbox_scale": np.ones((DRAWS, 2))}
    moved = transforms.RandomBBoxTransform()(unit)
    expected = np.column_stack(
        (moved["bbox_center"], moved["bbox_scale"][:, 0], moved["bbox_rotation"])
    )
    box = region(BOX, 1.25)
    areas = drawn(PAPER.model_copy(update={"flip": 0.0, "half_body": 0.0}), visible())
    found = np.array(
        [
            [*(area.center - box.center) / box.scale, area.scale[0] / box.scale[0], area.rotation]
            for area in areas
        ]
    )
    ratios = np.array([area.scale for area in areas]) / box.scale
    np.testing.assert_allclose(ratios[:, 0], ratios[:, 1])
    # Quantiles, tails included, in units of the range.
    levels = [0.001, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.999]
    extent = np.array([PAPER.shift, PAPER.shift, 0.5, PAPER.rotation])
    difference = np.quantile(found, levels, axis=0) - np.quantile(expected, levels, axis=0)
    assert np.abs(difference / extent).max() < 0.1
    for column, probability in ((0, 0.3), (1, 0.3), (3, 0.6)):
        assert (found[:, column] != 0).mean() == pytest.approx(probability, abs=0.05)
