"""Keypoint figures equal those of the reference evaluators: shares to 1e-9, counts exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.pose import evaluator

FIXTURES = Path(__file__).parents[2] / "fixtures/metrics"
COCO = ("standard", "joints14", "recall_ties", "annotation_id_zero", "detections_with_box")
CROWDPOSE = ("main", "no_easy", "joint_scores_zero", "annotation_id_zero", "hard_all_ignored")
CROWDPOSE_SIGMAS = [s / 1000 for s in (79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89, 79, 79)]


def read(folder: str, name: str) -> Any:
    return json.loads((FIXTURES / folder / f"{name}.json").read_text())


@pytest.mark.parametrize("case", [*COCO, "all_crowd"])
def test_figures_equal_pycocotools(case: str) -> None:
    expected = read("coco_keypoints", "expected")[case]
    figures = evaluator.evaluate(
        read("coco_keypoints", f"{case}_truth"),
        read("coco_keypoints", f"{case}_detections"),
        expected["sigmas"],
    )
    assert figures.stats.keys() == expected["stats"].keys()
    for name, value in expected["stats"].items():
        assert figures.stats[name] == pytest.approx(value, abs=1e-9), name
    for area, counts in expected["counts"].items():
        assert figures.counts[area] == counts["truth"]


@pytest.mark.parametrize("case", COCO)
def test_similarities_equal_pycocotools(case: str) -> None:
    arrays = np.load(FIXTURES / "coco_keypoints/expected.npz")
    images = evaluator._images(
        read("coco_keypoints", f"{case}_truth"),
        read("coco_keypoints", f"{case}_detections"),
        np.array(read("coco_keypoints", "expected")[case]["sigmas"]),
        "coco",
    )
    compared = 0
    for image in images:
        key = f"{case}/oks/{image.identity}"
        if key in arrays:
            np.testing.assert_allclose(image.oks, arrays[key], rtol=0, atol=1e-12)
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("case", CROWDPOSE)
def test_figures_equal_the_crowdpose_api(case: str) -> None:
    expected = read("crowdpose", "expected")[case]["crowdpose_api"]
    figures = evaluator.evaluate(
        read("crowdpose", f"{case}_truth"),
        read("crowdpose", f"{case}_detections"),
        CROWDPOSE_SIGMAS,
        "crowdpose",
    )
    for name, value in expected.items():
        assert figures.stats[name] == pytest.approx(value, abs=1e-9), name


def test_no_detections_are_refused() -> None:
    with pytest.raises(ValueError, match="no detections"):
        evaluator.evaluate({"images": [], "annotations": []}, [], [0.1])


def test_the_bootstrap_knows_a_sample_without_spread() -> None:
    """Every image alike: whatever is drawn, AP stays, and its error is 0."""
    person = {"iscrowd": 0, "num_keypoints": 1, "area": 400.0, "bbox": [0, 0, 20, 20]}
    images = [{"id": i} for i in range(6)]
    people = [person | {"id": i + 1, "image_id": i, "keypoints": [5, 5, 2]} for i in range(6)]
    right = [{"image_id": i, "keypoints": [5, 5, 1], "score": 0.9} for i in range(6)]
    wrong = [{"image_id": i, "keypoints": [90, 5, 1], "score": 0.9} for i in range(6)]
    truth = {"images": images, "annotations": people}
    assert evaluator.evaluate(truth, right, [0.1]).bootstrap_error() == 0
    mixed = evaluator.evaluate(truth, right[:3] + wrong[3:], [0.1]).bootstrap_error()
    assert mixed is not None and mixed > 0.05
