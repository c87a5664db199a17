"""Predictions to figures, the whole way, on files whose images are in no order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.pose.data import PoseDataset
from tasks.pose.task import Pose
from tests.tasks.pose.folders import JOINTS, make, recipe
from tests.tasks.pose.test_metrics import CROWD, crowded, read

CROWD_JOINTS = [
    f"{s}_{j}" for j in ("shoulder", "elbow", "wrist", "hip") for s in ("left", "right")
]
CROWD_JOINTS += ["left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck"]


def dataset(
    root: Path, truth: dict[str, Any], boxes: list[dict[str, Any]], joints: list[str], **data: Any
) -> PoseDataset:
    """The test split `truth`, with a detector's boxes; of images only the names are looked at."""
    make(root)
    for image in truth["images"]:
        image |= {"width": 640, "height": 640, "file_name": f"{image['id']}.png"}
        (root / f"test/{image['id']}.png").write_bytes(b"")
    truth["categories"] = [{"id": 1, "name": "person", "keypoints": joints}]
    (root / "annotations/person_keypoints_test.json").write_text(json.dumps(truth))
    path = root / "boxes.json"
    path.write_text(json.dumps(boxes))
    return PoseDataset(recipe("smoke-folder", root=root, detections=path, **data), "test")


def row(sample: int, keypoints: list[float], box_score: float, area: float) -> dict[str, Any]:
    return {"sample": sample, "keypoints": keypoints, "box_score": box_score, "area": area}


@pytest.mark.parametrize("seed", [0, 1])
def test_as_mmpose_and_pycocotools(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores of people and OKS-NMS after mmpose's CocoMetric, its figures by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from tasks import openmmlab

    oks_nms = openmmlab.load("mmpose.evaluation.functional.nms").oks_nms
    rng = np.random.default_rng(seed)
    truth, found = crowded(seed)
    scores = rng.random(len(found)).tolist()
    boxes = [
        {"image_id": d["image_id"], "category_id": 1, "bbox": [0, 0, 9, 9], "score": score}
        for d, score in zip(found, scores, strict=True)
    ]
    data = dataset(tmp_path / "set", truth, boxes, JOINTS)
    assert (np.diff(data.images.ids) < 0).any()
    order = {score: number for number, score in enumerate(data.samples.scores.tolist())}
    rows, people = [], []
    for detection, score in zip(found, scores, strict=True):
        points = np.array(detection["keypoints"]).reshape(17, 3)
        points[:, 2] = rng.random(17)
        area = float(rng.uniform(4000, 9000))
        rows.append(row(order[score], points.ravel().tolist(), score, area))
        sure = points[:, 2][points[:, 2] > 0.2]
        people.append(
            {"keypoints": points, "score": score * sure.mean(), "area": area} | {"of": detection}
        )
    kept = []
    for image in truth["images"]:
        mine = [p for p in people if p["of"]["image_id"] == image["id"]]
        best = oks_nms(mine, 0.9, sigmas=np.array(data.skeleton.sigmas)) if mine else []
        kept += [
            p["of"] | {"score": float(p["score"]), "keypoints": p["keypoints"].ravel().tolist()}
            for p in (mine[int(i)] for i in best)
        ]
    assert len(kept) < len(rows)
    index = COCO()
    index.dataset = truth
    index.createIndex()
    reference = COCOeval(index, index.loadRes(kept), "keypoints")
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    capsys.readouterr()
    metrics = Pose().evaluate(rows, data).metrics
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
    assert 0.1 < reference.stats[0] < 0.9
    for name, value in zip(names, reference.stats, strict=True):
        assert metrics[name].value == pytest.approx(value, abs=1e-9), name


def test_as_the_crowdpose_api(tmp_path: Path) -> None:
    """Easy, medium and hard images, listed in another order than that of their ids."""
    truth, found = read("crowdpose", "main")
    truth["images"] = [truth["images"][i] for i in np.random.default_rng(0).permutation(36)]
    boxes = [
        {"image_id": d["image_id"], "category_id": 1, "bbox": [0, 0, 9, 9], "score": d["score"]}
        for d in found
    ]
    data = dataset(tmp_path / "set", truth, boxes, CROWD_JOINTS, name="crowdpose", area="box")
    place = {int(id): number for number, id in enumerate(data.images.ids)}
    rows = []
    for sample, detection in enumerate(sorted(found, key=lambda d: place[d["image_id"]])):
        points = np.array(detection["keypoints"]).reshape(14, 3)
        points[:, 2] = 1
        rows.append(row(sample, points.ravel().tolist(), detection["score"], 1.0))
    # The reference has no OKS-NMS.
    everybody = data.recipe.test.model_copy(update={"nms_oks": 1.0})
    data.recipe = data.recipe.model_copy(update={"test": everybody})
    metrics = Pose().evaluate(rows, data).metrics
    for name, value in CROWD["main"]["crowdpose_api"].items():
        assert metrics[name].value == pytest.approx(value, abs=1e-9), name
