"""Which people are samples, what an item is, and who is measured against."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tasks.contract import DataError
from tasks.pose.data import PoseDataset
from tests.tasks.pose.folders import JOINTS, edit, make, opened, recipe

SHARED = Path(__file__).parents[4] / "shared/data"


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_published_rules(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    assert len(data) == data.info.count == 8
    assert data.info.skipped == {"crowd": 1, "no labelled joint": 1, "empty box": 1}
    assert len(data.truth) == 11, "what does not count is still looked at by the evaluator"
    assert data.skeleton.flip[JOINTS.index("left_knee")] == JOINTS.index("right_knee")
    assert data.skeleton.sigmas[0] == 0.026


def test_a_limit_takes_the_first_people_and_their_truth(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    data = opened(root, limit=3)
    assert data.samples.annotation.tolist() == [1, 2, 3]
    counted = data.truth.ids[~data.truth.crowd & (data.truth.labelled > 0)]
    assert set(counted) - {902} == {1, 2, 3}
    assert data.info.sha256 != opened(root).info.sha256


def test_items(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    plain = data.item(0, None)
    assert plain["image"].shape == (3, 128, 128) and plain["image"].dtype == np.uint8
    # Padded by 1.25 the box of 60 pixels is 75 wide; UDP brings it to 127 steps.
    expected = (data.samples.keypoints[0] - (45 - 37.5)) * 127 / 75
    np.testing.assert_allclose(plain["keypoints"], expected, atol=1e-4)
    same, other = data.item(0, rng(1)), data.item(0, rng(2))
    assert (same["image"] == data.item(0, rng(1))["image"]).all()
    assert (same["keypoints"] != other["keypoints"]).any()


def test_augmented_joints_lie_on_their_pixels(tmp_path: Path) -> None:
    """A bright dot at a joint stays under it through mirror, turn and scale."""
    root = make(tmp_path / "set")
    for image in range(1, 5):
        given = json.loads((root / "annotations/person_keypoints_train.json").read_text())
        person = next(p for p in given["annotations"] if p["image_id"] == image)
        pixels = np.zeros((80, 96, 3), dtype=np.uint8)
        x, y = person["keypoints"][:2]
        cv2.circle(pixels, (round(x), round(y)), 2, (255, 255, 255), -1)
        cv2.imwrite(str(root / f"train/{image}.png"), pixels)
    data = opened(root)
    found = 0
    for seed in range(40):
        index = 2 * (seed % 4)
        item = data.item(index, rng(seed))
        x, y = item["keypoints"][0]
        brightness = item["image"][0].astype(float)
        if brightness.sum() < 255 * 8 or not (6 < x < 121 and 6 < y < 121):
            continue
        rows, columns = np.mgrid[:128, :128]
        centre = np.array([(columns * brightness).sum(), (rows * brightness).sum()])
        # The dot is drawn on whole pixels: up to 0.5 px, times the enlargement.
        np.testing.assert_allclose(centre / brightness.sum(), [x, y], atol=2.5)
        found += 1
    assert found > 20


def test_permuted_keeps_the_poses(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    data.samples.boxes[:, 2] *= np.linspace(0.5, 1.5, len(data))
    mixed = data.permuted(3)

    def poses(given: PoseDataset) -> list[Any]:
        boxes = given.samples.boxes[:, None]
        relative = (given.samples.keypoints - boxes[..., :2]) / boxes[..., 2:]
        pairs = zip(relative, given.samples.visible, strict=True)
        return sorted((*np.round(p, 6).ravel(), *v) for p, v in pairs)

    assert poses(mixed) == poses(data)
    moved = (mixed.samples.keypoints != data.samples.keypoints).any(axis=(1, 2))
    assert moved.sum() > len(data) / 2
    assert (mixed.samples.boxes == data.samples.boxes).all()


def test_mirrored_items(tmp_path: Path) -> None:
    """The mirror image of the crop, left joints where the right ones were, labels with them."""
    given = recipe("smoke-folder", root=make(tmp_path / "set"))
    still = {"shift_probability": 0.0, "scale_probability": 0.0, "rotation_probability": 0.0}
    mirror = given.augmentation.model_copy(update={"flip": 1.0, "half_body": 0.0} | still)
    data = PoseDataset(given.model_copy(update={"augmentation": mirror}), "training")
    flip = list(data.skeleton.flip)
    for index in range(len(data)):
        plain, mirrored = data.item(index, None), data.item(index, rng(0))
        there = plain["keypoints"][flip] * [-1, 1] + [127, 0]
        np.testing.assert_allclose(mirrored["keypoints"], there, atol=1e-4)
        assert (mirrored["visible"] == plain["visible"][flip]).all()
        difference = mirrored["image"].astype(int) - plain["image"][..., ::-1]
        assert np.abs(difference).max() <= 2
    assert any((data.samples.visible != data.samples.visible[:, flip]).any(axis=1))


def test_images_are_rgb(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    red, green, blue = 200, 100, 50
    cv2.imwrite(str(root / "train/1.png"), np.full((80, 96, 3), (blue, green, red), np.uint8))
    image = opened(root).item(0, None)["image"]
    assert image[:, 64, 64].tolist() == [red, green, blue]


def test_mean_pose(tmp_path: Path) -> None:
    data = opened(make(tmp_path / "set"))
    nose = [
        (points[0] - box[:2]) / box[2:]
        for points, visible, box in zip(
            data.samples.keypoints, data.samples.visible, data.samples.boxes, strict=True
        )
        if visible[0]
    ]
    np.testing.assert_allclose(data.mean_pose()[0], np.mean(nose, axis=0), atol=1e-12)


def test_people_whom_a_detector_missed_are_missed(tmp_path: Path) -> None:
    """Nobody vanishes from the truth but those in images that were left out."""
    root = make(tmp_path / "set")
    path = tmp_path / "boxes.json"
    box = {"category_id": 1, "bbox": [15, 15, 60, 60], "score": 0.9}
    path.write_text(json.dumps([{**box, "image_id": image} for image in (1, 1, 2)]))

    def images(**data: Any) -> list[int]:
        """Ids of the images whose people are looked for."""
        given = opened(root, "test", detections=path, **data)
        return sorted(set(given.images.ids[given.truth.image].tolist()))

    assert images() == images(limit=3) == images(skip_unreadable=True) == [1, 2, 3]
    assert images(limit=1) == [1] and len(opened(root, "test", detections=path, limit=1)) == 1
    hurt = root / "test/1.png"
    hurt.write_bytes(hurt.read_bytes()[:-300])
    assert images(skip_unreadable=True) == [2, 3]
    assert images(skip_unreadable=True, limit=1) == [2, 3]
    path.write_text(json.dumps([{**box, "image_id": 2}]))
    assert images(skip_unreadable=True) == [2, 3], "an image that no detector's box is of"


def test_detections(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    boxes = [
        {"image_id": 2, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.5},
        {"image_id": 1, "category_id": 1, "bbox": [5, 6, 30, 40], "score": 0.9},
        {"image_id": 1, "category_id": 3, "bbox": [5, 6, 30, 40], "score": 0.9},
        {"image_id": 77, "category_id": 1, "bbox": [5, 6, 30, 40], "score": 0.9},
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(boxes))
    data = opened(root, "test", detections=path)
    assert data.samples.scores.tolist() == [0.9, 0.5]
    assert data.item(1, None)["annotation"] == -1
    assert sum(data.info.skipped.values()) == 2
    assert opened(root, "training", detections=path).info.count == 8
    path.write_text(json.dumps([*boxes, {**boxes[0], "bbox": [1, 2, 0, 40]}]))
    skipped = opened(root, "test", detections=path).info.skipped
    assert skipped["detection with an empty box"] == 1
    wrong = {"image_id": "1"}, {"image_id": [1]}, {"score": float("nan")}, {"bbox": [1, 2, 3]}
    for fields in wrong:
        path.write_text(json.dumps([boxes[0] | fields]))
        with pytest.raises(DataError, match="detection 0"):
            opened(root, "test", detections=path)


def test_detections_of_another_person_category(tmp_path: Path) -> None:
    root = make(tmp_path / "set")

    def renumber(given: Any) -> None:
        given["categories"][0]["id"] = 0
        for entry in given["annotations"]:
            entry["category_id"] = 0

    edit(root, renumber, "test")
    path = tmp_path / "boxes.json"
    boxes = [
        {"image_id": 2, "category_id": number, "bbox": [1, 2, 30, 40], "score": 0.5}
        for number in (0, 1)
    ]
    path.write_text(json.dumps(boxes))
    data = opened(root, "test", detections=path)
    assert len(data) == 1 and sum(data.info.skipped.values()) == 1


def test_broken_images(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    hurt, gone = root / "train/2.png", root / "train/3.png"
    hurt.write_bytes(hurt.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"2\.png`: it is truncated"):
        opened(root).item(2, None)
    gone.unlink()
    with pytest.raises(DataError, match=r"3.png.*skip_unreadable=true"):
        opened(root)
    data = opened(root, skip_unreadable=True)
    assert data.info.skipped["unreadable image"] == 4 and len(data) == 4
    # Whom nobody could look for, nobody has missed.
    assert set(data.truth.image.tolist()) <= set(data.samples.image.tolist())
    edit(root, lambda given: given["images"][0].update(width=97))
    with pytest.raises(DataError, match=r"1\.png is 96x80, its annotation says 97x80"):
        opened(root, skip_unreadable=False, limit=1).item(0, None)


def test_held_out_images(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    files = "annotations/person_keypoints_train.json"
    data: dict[str, Any] = {
        "annotations": {"training": files, "selection": files, "test": files},
        "images": {"training": "train", "selection": "train", "test": "train"},
        "held_out": 0.25,
    }
    parts = [opened(root, split, **data) for split in ("training", "selection", "test")]
    ids = [set(part.samples.annotation.tolist()) for part in parts]
    assert len(ids[1]) == 2 and not ids[0] & ids[1] and ids[0] | ids[1] == ids[2]
    assert parts[0].item(0, None)["image_id"] in {1, 2, 3, 4}


@pytest.mark.skipif(not (SHARED / "lspet").exists(), reason="no lspet beside the repository")
def test_lspet() -> None:
    sigmas = (0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.062)
    sigmas += (0.072, 0.079, 0.079, 0.072, 0.062, 0.079, 0.079)
    given = recipe("tiny-folder", root=SHARED / "lspet", sigmas=sigmas)
    counts = [len(PoseDataset(given, split)) for split in ("training", "selection", "test")]
    assert counts == [360, 60, 160]
    data = PoseDataset(given, "test")
    assert data.skeleton.flip == (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 12, 13)
    assert int(data.samples.visible.sum()) == 2145


@pytest.mark.skipif(not (SHARED / "coco_mini").exists(), reason="no coco_mini there")
def test_coco_mini() -> None:
    data = PoseDataset(recipe("tiny-coco", root=SHARED / "coco_mini"), "test")
    assert len(data.truth) == 118 and data.info.count + sum(data.info.skipped.values()) == 118
    assert data.item(0, None)["image"].any()
