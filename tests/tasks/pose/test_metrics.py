"""Keypoint AP against the figures of pycocotools and the CrowdPose API, to 1e-9.

Both sides add the same float64 numbers; sums in another order differ by 1e-16.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.pose.matching import Detections, Truth, bounding_areas, match, similarity
from tasks.pose.metrics import COCO_RANGES, distinct, person_scores, score
from tasks.pose.precision import curves

FOLDER = Path(__file__).parents[2] / "fixtures/metrics"
COCO = json.loads((FOLDER / "coco_keypoints/expected.json").read_text())
CROWD = json.loads((FOLDER / "crowdpose/expected.json").read_text())
COCO_CASES = [name for name in COCO if name != "raises"]
NAMES = {"AP_medium": "APM", "AP_large": "APL", "AR_medium": "ARM", "AR_large": "ARL"}


def read(folder: str, case: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    where = FOLDER / folder
    truth = json.loads((where / f"{case}_truth.json").read_text())
    return truth, json.loads((where / f"{case}_detections.json").read_text())


def arrays(
    truth: dict[str, Any], found: list[dict[str, Any]], box_area: bool = False
) -> tuple[Truth, Detections, Any]:
    people = truth["annotations"]
    ids = np.unique([image["id"] for image in truth["images"]])
    place = {int(id): number for number, id in enumerate(ids)}
    boxes = np.array([p["bbox"] for p in people], dtype=float)
    crowd = np.array([bool(p["iscrowd"]) for p in people])
    points = np.array([d["keypoints"] for d in found], dtype=float).reshape(len(found), -1, 3)
    # As loadRes: a box in the first detection decides for all.
    if found[0].get("bbox"):
        areas = np.array([d["bbox"][2] * d["bbox"][3] for d in found])
    else:
        areas = bounding_areas(points[..., :2])
    return (
        Truth(
            np.array([place[p["image_id"]] for p in people]),
            np.array([p["id"] for p in people]),
            boxes,
            np.array([p["keypoints"] for p in people], dtype=float).reshape(len(people), -1, 3),
            boxes[:, 2] * boxes[:, 3] * 0.53
            if box_area
            else np.array([p["area"] for p in people], dtype=float),
            crowd | np.array([p["num_keypoints"] == 0 for p in people]),
            crowd,
        ),
        Detections(
            np.array([place[d["image_id"]] for d in found]),
            points[..., :2],
            np.array([d["score"] for d in found], dtype=float),
            areas,
        ),
        ids,
    )


@pytest.mark.parametrize("case", COCO_CASES)
def test_coco_fixture(case: str) -> None:
    truth, found = read("coco_keypoints", case)
    people, detections, ids = arrays(truth, found)
    sigmas = np.array(COCO[case]["sigmas"])
    metrics, _ = score(people, detections, sigmas, len(ids))
    for name, value in COCO[case]["stats"].items():
        assert metrics[NAMES.get(name, name)].value == pytest.approx(value, abs=1e-9), name
    outcomes = match(people, detections, sigmas, list(COCO_RANGES.values()), len(ids))
    for number, part in enumerate(("all", "medium", "large")):
        counts = COCO[case]["counts"][part]
        assert outcomes.wanted[number].sum() == counts["truth"]
        assert outcomes.count(outcomes.found)[number].tolist() == counts["matched"]
        assert outcomes.count(outcomes.wrong)[number].tolist() == counts["unmatched"]


@pytest.mark.parametrize("case", COCO_CASES)
def test_coco_curves_and_similarities(case: str) -> None:
    truth, found = read("coco_keypoints", case)
    people, detections, ids = arrays(truth, found)
    sigmas = np.array(COCO[case]["sigmas"])
    expected = np.load(FOLDER / "coco_keypoints/expected.npz")
    outcomes = match(people, detections, sigmas, list(COCO_RANGES.values()), len(ids))
    precision, recall = curves(outcomes, np.ones((1, len(ids))))
    for number in range(3):
        there = expected[f"{case}/precision"][..., number]
        np.testing.assert_allclose(precision[number, 0], there, rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            recall[number, 0], expected[f"{case}/recall"][..., number], rtol=0, atol=1e-12
        )
    for id in ids:
        key = f"{case}/oks/{id}"
        if key in expected:
            value = similarities(people, detections, ids, int(id), sigmas)
            np.testing.assert_allclose(value, expected[key].reshape(value.shape), atol=1e-12)


def similarities(people: Truth, detections: Detections, ids: Any, id: int, sigmas: Any) -> Any:
    """(D, G) of one image, detections by falling score."""
    number = int(np.searchsorted(ids, id))
    mine = np.flatnonzero(detections.image == number)
    mine = mine[np.argsort(-detections.scores[mine], kind="stable")][:20]
    theirs = np.flatnonzero(people.image == number)
    pairs = np.repeat(mine, len(theirs)), np.tile(theirs, len(mine))
    value = similarity(detections.keypoints, people, *pairs, sigmas)
    return value.reshape(len(mine), len(theirs))


@pytest.mark.parametrize("case", [name for name in CROWD if "crowdpose_api" in CROWD[name]])
def test_crowdpose_fixture(case: str) -> None:
    truth, found = read("crowdpose", case)
    people, detections, ids = arrays(truth, found, box_area=True)
    index = {image["id"]: image["crowdIndex"] for image in truth["images"]}
    sigmas = np.array(COCO["joints14"]["sigmas"])
    metrics, _ = score(people, detections, sigmas, len(ids), np.array([index[i] for i in ids]))
    expected = CROWD[case]["crowdpose_api"]
    assert set(expected) == set(metrics)
    for name, value in expected.items():
        assert metrics[name].value == pytest.approx(value, abs=1e-9), name


def crowded(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Random people in close company, crowds and unlabelled ones, and too many detections."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    images = [{"id": int(i)} for i in rng.permutation(60) + 3]
    for image in images[:-5]:
        for _ in range(rng.integers(0, 9)):
            side = rng.uniform(20, 180)
            corner = rng.uniform(0, 60, 2)
            points = corner + rng.uniform(0, 1, (17, 2)) * side
            v = rng.choice([0, 1, 2], 17, p=[0.2, 0.2, 0.6]) * (rng.random() > 0.1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "bbox": [*corner.tolist(), side, side],
                    "area": float(side**2 * rng.uniform(0.3, 0.9)),
                    "iscrowd": int(rng.random() < 0.1),
                    "num_keypoints": int((v > 0).sum()),
                    "keypoints": np.concatenate((points, v[:, None]), 1).ravel().tolist(),
                }
            )
            for _ in range(rng.integers(0, 5)):
                moved = points + rng.normal(0, side * rng.choice([0.01, 0.05, 0.2]), (17, 2))
                triple = np.concatenate((moved, np.ones((17, 1))), 1).ravel().tolist()
                found.append(
                    {
                        "image_id": image["id"],
                        "category_id": 1,
                        "score": float(np.round(rng.random(), 1)),
                        "keypoints": triple,
                    }
                )
    for image in images[-5:]:
        triple = rng.uniform(0, 100, 51).tolist()
        found.append(
            {"image_id": image["id"], "category_id": 1, "score": 0.95, "keypoints": triple}
        )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }, found


@pytest.mark.parametrize("seed", [0, 1])
def test_random_crowds_as_pycocotools(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO as Index
    from pycocotools.cocoeval import COCOeval

    truth, found = crowded(seed)
    people, detections, ids = arrays(truth, found)
    index = Index()
    index.dataset = truth
    index.createIndex()
    reference = COCOeval(index, index.loadRes(found), "keypoints")
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    capsys.readouterr()
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
    metrics, _ = score(people, detections, reference.params.kpt_oks_sigmas, len(ids))
    assert 0.1 < reference.stats[0] < 0.9
    for id in ids:
        there = np.array(reference.ious[int(id), 1])
        if there.size:
            here = similarities(people, detections, ids, int(id), reference.params.kpt_oks_sigmas)
            # Equal to the last bit: a value may lie on a threshold.
            assert (here == there).all()
    for name, value in zip(names, reference.stats, strict=True):
        assert metrics[name].value == pytest.approx(value, abs=1e-9), name


def test_weights_are_repeated_images() -> None:
    """What the bootstrap relies on: an image of weight 2 is the image twice."""
    truth, found = read("coco_keypoints", "standard")
    # No two scores are equal: among equals the order of the images would decide.
    for number, detection in enumerate(found):
        detection["score"] += number * 1e-6
    people, detections, ids = arrays(truth, found)
    sigmas = np.array(COCO["standard"]["sigmas"])
    twice = int(people.image[0])
    weights = np.ones((1, len(ids)))
    weights[0, twice] = 2
    ranges = [COCO_RANGES[""]]
    weighted = curves(match(people, detections, sigmas, ranges, len(ids)), weights)[0]
    for item in (truth["annotations"], found):
        item += [{**p, "image_id": 10**6} for p in item if p["image_id"] == ids[twice]]
    for number, person in enumerate(truth["annotations"]):
        person["id"] = number + 1
    truth["images"].append({"id": 10**6})
    people, detections, ids = arrays(truth, found)
    outcomes = match(people, detections, sigmas, ranges, len(ids))
    repeated = curves(outcomes, np.ones((1, len(ids))))[0]
    np.testing.assert_allclose(weighted.mean(), repeated.mean(), rtol=0, atol=1e-9)


def test_nms_as_mmpose() -> None:
    from tasks import openmmlab

    oks_nms = openmmlab.load("mmpose.evaluation.functional.nms").oks_nms
    rng = np.random.default_rng(0)
    sigmas = np.array(COCO["standard"]["sigmas"])
    base = rng.uniform(0, 100, (4, 17, 2))
    points = np.repeat(base, 5, axis=0) + rng.normal(0, 1.5, (20, 17, 2))
    scores, areas = rng.random(20), rng.uniform(4000, 9000, 20)
    people = [
        {
            "keypoints": np.concatenate((points[i], np.ones((17, 1))), 1),
            "score": scores[i],
            "area": areas[i],
        }
        for i in range(20)
    ]
    expected = sorted(int(i) for i in oks_nms(people, 0.9, sigmas=sigmas))
    assert 4 <= len(expected) < 20
    detections = Detections(np.zeros(20, dtype=int), points, scores, areas)
    assert sorted(distinct(detections, areas, sigmas, 0.9).tolist()) == expected


def test_person_scores() -> None:
    joints = np.array([[0.2, 0.4, 0.6], [0.1, 0.2, 0.0]])
    np.testing.assert_allclose(person_scores(joints, np.array([0.5, 1.0]), 0.2), [0.25, 0.0])
